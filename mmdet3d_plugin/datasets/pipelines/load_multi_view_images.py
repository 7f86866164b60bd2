"""Reading and decoding of the camera images."""

import cv2
from mmdet3d.datasets.builder import PIPELINES

from dualdistill_runtime.image_file import DECODE_FLAGS, read_image

from .freed_memory import keep_freed_memory

# Loader workers fill the cores. Set here, before OpenCV starts threads: a forked worker would wait for them for ever.
cv2.setNumThreads(0)


@PIPELINES.register_module()
class LoadMultiViewImages:
    """Decodes the images of F frames x N cameras with OpenCV.

    OpenCV and PIL decode nuScenes' JPEGs to the same bytes; OpenCV takes 3.3 ms for a 1600x900 image on one core, PIL
    5.3 ms. ``decode_reduction=2`` lets the JPEG decoder deliver half the size in 2.1 ms, which changes an image of
    256x704 by 0.4 grey levels on average and by up to 50 at single edges; use it when the network sees about half the
    original resolution or less. A file that occurs twice in a sample is decoded once.

    Reads: ``frames`` (F lists of N camera records with ``data_path``).

    Writes:
        images (list): F lists of N (h, w, 3) uint8 arrays in BGR order; h and w are the original ones divided by
            ``decode_reduction``, rounded up.
        image_reduction (int): ``decode_reduction``, so that the next step knows the original pixel grid.
        img_filenames (list): F lists of N paths.

    Args:
        decode_reduction (int): 1, 2 or 4.

    Raises:
        FileNotFoundError: an image file is missing.
        ValueError: an image file is empty, truncated or not an image.
    """

    def __init__(self, decode_reduction=1):
        if decode_reduction not in DECODE_FLAGS:
            raise ValueError(f'decode_reduction must be one of {sorted(DECODE_FLAGS)}, got {decode_reduction}')
        self.decode_reduction = decode_reduction

    def __call__(self, results):
        keep_freed_memory()
        filenames = [[camera['data_path'] for camera in frame] for frame in results['frames']]
        decoded = {path: read_image(path, self.decode_reduction) for path in dict.fromkeys(sum(filenames, []))}
        results['images'] = [[decoded[path] for path in frame] for frame in filenames]
        results['image_reduction'] = self.decode_reduction
        results['img_filenames'] = filenames
        return results

    def __repr__(self):
        return f'{type(self).__name__}(decode_reduction={self.decode_reduction})'
