"""The motion vector of each frame of a sample."""

from mmdet3d.datasets.builder import PIPELINES

from dualdistill_runtime.motion_vector import MotionVector


@PIPELINES.register_module()
class LoadEgoMotion(MotionVector):
    """:class:`dualdistill_runtime.motion_vector.MotionVector`, 18 numbers a frame, as a step of a pipeline."""
