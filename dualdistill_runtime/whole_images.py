"""Camera images as they are: resized at most, normalised and padded."""

import cv2
import numpy as np

from .channel_norm import ChannelNorm
from .image_affine import resize_matrix
from .image_norm import ImageNorm


class WholeImages:
    """Normalises whole images and pads them at the bottom and on the right, with zeros after normalisation.

    Nothing is cropped, flipped or turned; :class:`.ResizeCropImages` does that.

    Reads: ``images`` (F lists of N (h, w, 3) BGR arrays, uint8 or float32) and ``image_reduction``.

    Writes:
        img (ndarray): (F, N, 3, H, W) float32, (value - mean) / std; H and W are those of the largest image, padded.
        post_rots (ndarray): (F, N, 3, 3) float64; post_trans (ndarray): (F, N, 3) float64, px:
            (u', v', 1) = post_rots @ (u, v, 1) + post_trans.
    Removes ``images`` and ``image_reduction``.

    Args:
        mean, std (Sequence[float]): of 0..255, in the order of the channels of ``img``. The default is BEVFormer's
            with ResNets in Caffe's style.
        to_rgb (bool): turn BGR into RGB.
        size_divisor (int): H and W are multiples of it.
        scale (float): resizes the image first; 0.5 halves its sides.

    Raises:
        ValueError: a number that cannot serve.
    """

    def __init__(self, mean=ImageNorm.mean, std=ImageNorm.std, to_rgb=ImageNorm.to_rgb, size_divisor=32, scale=1.0):
        norm = ImageNorm(mean, std, to_rgb)
        self.mean, self.std = np.array(norm.mean), np.array(norm.std)
        self._norm = ChannelNorm(norm.mean, norm.std, to_rgb)
        if size_divisor < 1 or scale <= 0:
            raise ValueError(f'size_divisor and scale must be positive, got {size_divisor} and {scale}')
        self.to_rgb, self.size_divisor, self.scale = to_rgb, size_divisor, scale

    def __call__(self, results):
        frames, reduction = results.pop('images'), results.pop('image_reduction')
        sizes = [[self._size(image.shape, reduction) for image in frame] for frame in frames]
        padded = self.padded_size([image.shape for frame in frames for image in frame], reduction)
        img = np.zeros((len(frames), len(frames[0]), 3, *padded), dtype=np.float32)
        post_rots = np.tile(np.eye(3), (*img.shape[:2], 1, 1))
        post_trans = np.zeros((*img.shape[:2], 3))
        for f, frame in enumerate(frames):
            for n, image in enumerate(frame):
                height, width = sizes[f][n]
                self._norm.write(_resized(image, (height, width)), img[f, n, :, :height, :width])
                for axis, ratio in enumerate((width / image.shape[1], height / image.shape[0])):
                    matrix = resize_matrix(ratio / reduction)
                    post_rots[f, n, axis, axis], post_trans[f, n, axis] = matrix[0, 0], matrix[0, 2]
        results.update(img=img, post_rots=post_rots, post_trans=post_trans)
        return results

    def padded_size(self, shapes, reduction=1):
        """(H, W) of ``img``, px.

        Args:
            shapes (Sequence[tuple]): (height, width, ...) of all images, px.
            reduction (int): the cameras' own images are so many times larger.
        """
        largest = np.max([self._size(shape, reduction) for shape in shapes], axis=0)
        return tuple(int(-(-side // self.size_divisor) * self.size_divisor) for side in largest)

    def _size(self, shape, reduction):
        """(height, width) after resizing, px."""
        return tuple(max(1, round(side * reduction * self.scale)) for side in shape[:2])

    def __repr__(self):
        return (
            f'{type(self).__name__}(mean={self.mean.tolist()}, std={self.std.tolist()}, to_rgb={self.to_rgb}, '
            f'size_divisor={self.size_divisor}, scale={self.scale})'
        )


def _resized(image, size):
    """``image`` in ``size`` (height, width)."""
    if size == image.shape[:2]:
        return image
    shrinks = size[0] < image.shape[0]
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
