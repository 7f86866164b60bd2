"""Resize, crop, flip, rotate and normalise the camera images, with exact bookkeeping of where each pixel went."""

import math
import random

import cv2
import numpy as np

from .channel_norm import ChannelNorm
from .image_affine import ImageAug, resize_matrix, seen_part


class ResizeCropImages:
    """Draws one augmentation per camera, applies it to that camera in every frame, and normalises.

    The ranges mean what they mean in BEVDet: the scale is final width / original width plus a draw from
    ``resize_range`` (an absolute number), the crop keeps the bottom of the image, then flip, then rotation about the
    centre. The four are composed into one matrix and sampled once (bilinear), after a box filter by a whole factor
    when the image shrinks by two or more; ``post_rots`` and ``post_trans`` are that matrix, so a projected point lands
    on its pixel to the 1/32 px grid of the sampler. Whatever falls outside the source is black before normalisation.

    Reads: ``images``, ``image_reduction`` (from LoadMultiViewImages).

    Writes:
        img (ndarray): (F, N, 3, H, W) float32, RGB, (value - mean) / std; uint8 as they are with ``as_uint8``.
        img_norm_cfg (dict): ``mean``, ``std``, ``to_rgb``, only with ``as_uint8``: what the detector has to do.
        post_rots (ndarray): (F, N, 3, 3) float64; post_trans (ndarray): (F, N, 3) float64, px:
            (u', v', 1) = post_rots @ (u, v, 1) + post_trans.
    Removes ``images`` and ``image_reduction``.

    Args:
        final_dim (tuple[int]): (H, W) of the network input.
        resize_range (tuple[float]): added to the base scale in training.
        rot_range (tuple[float]): degrees.
        flip_prob (float): probability of a left-right flip.
        test_resize (float): added to the base scale when ``test_mode``; crop centred, no flip, no rotation.
        mean, std (Sequence[float]): RGB, 0..255 scale.
        test_mode (bool): deterministic geometry.
        as_uint8 (bool): leave normalising to the detector (BEVDepth4D does it), equal to the rounding of float32. A
            batch takes a quarter of the memory on its way from the loader's workers to the GPU.

    Raises:
        ValueError: one camera's images differ in size between frames.
    """

    def __init__(
        self,
        final_dim,
        resize_range=(-0.06, 0.11),
        rot_range=(-5.4, 5.4),
        flip_prob=0.5,
        test_resize=0.04,
        mean=(123.675, 116.28, 103.53),
        std=(58.395, 57.12, 57.375),
        test_mode=False,
        as_uint8=False,
    ):
        self.final_dim = tuple(final_dim)
        self.resize_range = tuple(resize_range)
        self.rot_range = tuple(rot_range)
        self.flip_prob = flip_prob
        self.test_resize = test_resize
        self.test_mode = test_mode
        if len(mean) != 3 or len(std) != 3 or len(self.final_dim) != 2:
            raise ValueError(f'need 3 means and stds and final_dim=(H, W), got {mean}, {std}, {final_dim}')
        self.as_uint8 = as_uint8
        self.mean, self.std = tuple(map(float, mean)), tuple(map(float, std))
        self._norm = ChannelNorm(mean, std, to_rgb=True)

    def __call__(self, results):
        frames, reduction = results.pop('images'), results.pop('image_reduction')
        matrices = np.stack([self._draw_matrix(sizes, reduction) for sizes in self._sizes(frames)])
        img = np.empty((len(frames), len(matrices), 3, *self.final_dim), np.uint8 if self.as_uint8 else np.float32)
        for frame, target in zip(frames, img):
            for image, matrix, out in zip(frame, matrices, target):
                self._render(image, matrix @ resize_matrix(reduction), out)

        post_rots = np.tile(np.eye(3), (len(matrices), 1, 1))
        post_rots[:, :2, :2] = matrices[:, :2, :2]
        post_trans = np.zeros((len(matrices), 3))
        post_trans[:, :2] = matrices[:, :2, 2]
        results['img'] = img
        if self.as_uint8:
            results['img_norm_cfg'] = dict(mean=self.mean, std=self.std, to_rgb=True)
        results['post_rots'] = np.stack([post_rots] * len(frames))
        results['post_trans'] = np.stack([post_trans] * len(frames))
        return results

    @staticmethod
    def _sizes(frames):
        """(height, width) per camera, checked to be the same in all frames."""
        sizes = [tuple(image.shape[:2] for image in camera) for camera in zip(*frames)]
        for index, camera in enumerate(sizes):
            if len(set(camera)) > 1:
                raise ValueError(f'camera {index}: image sizes differ between frames: {camera}')
        return [camera[0] for camera in sizes]

    def _draw_matrix(self, size, reduction):
        height, width = size[0] * reduction, size[1] * reduction
        final_height, final_width = self.final_dim
        base = final_width / width
        resize = base + (self.test_resize if self.test_mode else random.uniform(*self.resize_range))
        top = height * resize - final_height
        spare = max(0.0, width * resize - final_width)
        if self.test_mode:
            return ImageAug(resize, (spare / 2, top)).matrix(self.final_dim)
        left = random.uniform(0.0, spare)
        flip = random.random() < self.flip_prob
        rotate = math.radians(random.uniform(*self.rot_range))
        return ImageAug(resize, (left, top), flip, rotate).matrix(self.final_dim)

    def _render(self, image, matrix, out):
        """Warps ``image`` (h, w, 3) BGR by ``matrix`` (pixel -> augmented pixel) into ``out`` (3, H, W) RGB."""
        scale = math.sqrt(abs(np.linalg.det(matrix[:2, :2])))
        shrink = max(1, int(1 / scale + 1e-6))
        matrix = matrix @ resize_matrix(shrink)
        # Whole boxes of shrink x shrink pixels, and only those that the result shows: the crop drops much of the sky.
        rows, cols = seen_part(matrix, self.final_dim, [side // shrink for side in image.shape[:2]])
        matrix[:2, 2] += matrix[:2, :2] @ (cols.start, rows.start)
        image = image[rows.start * shrink : rows.stop * shrink, cols.start * shrink : cols.stop * shrink]
        if shrink > 1:
            size = (cols.stop - cols.start, rows.stop - rows.start)
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        self._write(cv2.warpAffine(image, matrix[:2], self.final_dim[::-1], flags=cv2.INTER_LINEAR), out)

    def _write(self, image, planes):
        if self.as_uint8:
            for channel, plane in zip(cv2.split(image)[::-1], planes):
                plane[:] = channel
        else:
            self._norm.write(image, planes)

    def __repr__(self):
        return (
            f'{type(self).__name__}(final_dim={self.final_dim}, resize_range={self.resize_range}, '
            f'rot_range={self.rot_range}, flip_prob={self.flip_prob}, test_resize={self.test_resize}, '
            f'test_mode={self.test_mode}, as_uint8={self.as_uint8})'
        )
