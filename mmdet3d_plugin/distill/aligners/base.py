"""What every aligner shares: known sizes, checked at the door."""

import torch.nn.functional as F
from torch import nn


class Aligner(nn.Module):
    """Maps a student BEV map (B, C, H, W) to the teacher's shape (B, C_T, H_T, W_T).

    Subclasses implement :meth:`align`. A new aligner is a registered class with that one method::

        @ALIGNERS.register_module()
        class MyAligner(Aligner):
            def __init__(self, *, student, teacher):
                super().__init__(student=student, teacher=teacher)
                self.conv = nn.Conv2d(student.channels, teacher.channels, 3, padding=1)

            def align(self, feature):
                return self.resize(self.conv(feature))

    Args:
        student, teacher (BEVLevel): sizes of the two maps.
    """

    def __init__(self, *, student, teacher):
        super().__init__()
        self.student = student
        self.teacher = teacher

    def forward(self, feature):
        """(B, C, H, W) student map -> (B, C_T, H_T, W_T)."""
        if tuple(feature.shape[1:]) != self.student.shape:
            raise ValueError(
                f'{type(self).__name__} was built for a student map {self.student}, got '
                f'{feature.shape[1]}@{feature.shape[2]}x{feature.shape[3]}: the student level does not match its config'
            )
        return self.align(feature)

    def align(self, feature):
        raise NotImplementedError

    def resize(self, feature):
        """Bilinear resizing to the teacher's height and width (corner cells stay corner cells)."""
        size = (self.teacher.height, self.teacher.width)
        if feature.shape[-2:] == size:
            return feature
        return F.interpolate(feature, size=size, mode='bilinear', align_corners=True)

    def extra_repr(self):
        return f'{self.student} -> {self.teacher}'
