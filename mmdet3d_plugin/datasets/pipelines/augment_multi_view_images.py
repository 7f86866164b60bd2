"""Augmentation of the camera images."""

from mmdet3d.datasets.builder import PIPELINES

from dualdistill_runtime.resize_crop_images import ResizeCropImages


@PIPELINES.register_module()
class AugmentMultiViewImages(ResizeCropImages):
    """:class:`dualdistill_runtime.resize_crop_images.ResizeCropImages` as a step of a pipeline."""
