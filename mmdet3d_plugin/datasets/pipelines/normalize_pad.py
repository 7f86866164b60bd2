"""Camera images as they are: resized at most, normalised and padded."""

from mmdet3d.datasets.builder import PIPELINES

from dualdistill_runtime.whole_images import WholeImages


@PIPELINES.register_module()
class NormalizePad(WholeImages):
    """:class:`dualdistill_runtime.whole_images.WholeImages` as a step of a pipeline."""
