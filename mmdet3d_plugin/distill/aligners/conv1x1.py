"""The plain aligner: one 1x1 convolution."""

from torch import Tensor, nn

from ...structures import BEVLevel
from ..registry import DISTILL
from .base import Aligner


@DISTILL.register_module()
class Conv1x1Aligner(Aligner):
    """1x1 convolution to the teacher's channels, then bilinear resizing where the sizes differ.

    Args:
        student, teacher: given by the builder.
    """

    def __init__(self, *, student: BEVLevel, teacher: BEVLevel) -> None:
        super().__init__(student=student, teacher=teacher)
        self.conv = nn.Conv2d(student.channels, teacher.channels, 1)

    def align(self, feature: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C_T, H_T, W_T)."""
        return self.resize(self.conv(feature))
