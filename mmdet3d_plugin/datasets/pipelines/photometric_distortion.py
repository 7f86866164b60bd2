"""Random colours for the camera images."""

from mmdet.datasets.pipelines import PhotoMetricDistortion
from mmdet3d.datasets.builder import PIPELINES


@PIPELINES.register_module()
class PhotometricDistortion(PhotoMetricDistortion):
    """mmdet's ``PhotoMetricDistortion`` for each image of each frame by itself.

    Brightness, contrast, saturation, hue and the order of the channels, each with probability 1/2. Values are not
    clipped, so a step that normalises floats must follow, such as :class:`NormalizePad`.

    Reads and writes: ``images``, F lists of N (h, w, 3) BGR arrays; float32 afterwards. The given arrays stay as they
    are.

    Args:
        brightness_delta (int): largest shift, of 255.
        contrast_range, saturation_range (tuple[float]): factors.
        hue_delta (int): degrees.
    """

    def __call__(self, results):
        distort = super().__call__
        results['images'] = [[distort(dict(img=image))['img'] for image in frame] for frame in results['images']]
        return results
