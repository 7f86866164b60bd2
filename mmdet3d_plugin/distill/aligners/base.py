"""What every aligner shares: known sizes, checked at the door."""

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from ...structures import BEVLevel
from ..registry import build_part


class Aligner(nn.Module):
    """Maps a student BEV map (B, C, H, W) to the teacher's shape (B, C_T, H_T, W_T).

    Subclasses implement :meth:`align`. A new aligner is a registered class with that one method::

        @DISTILL.register_module()
        class MyAligner(Aligner):
            def __init__(self, *, student, teacher):
                super().__init__(student=student, teacher=teacher)
                self.conv = nn.Conv2d(student.channels, teacher.channels, 3, padding=1)

            def align(self, feature):
                return self.resize(self.conv(feature))

    Args:
        student, teacher: sizes of the two maps.
    """

    def __init__(self, *, student: BEVLevel, teacher: BEVLevel) -> None:
        super().__init__()
        self.student = student
        self.teacher = teacher

    def forward(self, feature: Tensor) -> Tensor:
        """(B, C, H, W) student map -> (B, C_T, H_T, W_T)."""
        if tuple(feature.shape[1:]) != self.student.shape:
            raise ValueError(
                f'{type(self).__name__} was built for a student map {self.student}, got '
                f'{feature.shape[1]}@{feature.shape[2]}x{feature.shape[3]}: the student level does not match its config'
            )
        aligned = self.align(feature)
        if tuple(aligned.shape[1:]) != self.teacher.shape:
            raise ValueError(
                f"{type(self).__name__} must give a map like the teacher's, {self.teacher}, it gave "
                f'{aligned.shape[1]}@{aligned.shape[2]}x{aligned.shape[3]}: resize it with self.resize()'
            )
        return aligned

    def align(self, feature: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C_T, H_T, W_T)."""
        raise NotImplementedError

    def resize(self, feature: Tensor) -> Tensor:
        """Bilinear resizing to the teacher's height and width (corner cells stay corner cells)."""
        size = (self.teacher.height, self.teacher.width)
        if feature.shape[-2:] == size:
            return feature
        return F.interpolate(feature, size=size, mode='bilinear', align_corners=True)

    def extra_repr(self) -> str:
        return f'{self.student} -> {self.teacher}'


def build_aligner(cfg: Mapping[str, Any], student: BEVLevel, teacher: BEVLevel, where: str = 'aligner') -> Aligner:
    """Build an aligner for a pair of levels.

    Args:
        cfg: ``type`` and the aligner's own options; sizes are not among them.
        student, teacher: what goes in and what must come out.
        where: place in the config, for messages.
    """
    return build_part(cfg, Aligner, where, student=student, teacher=teacher)
