"""Three-layer convolutional aligner with upsampling, as in DistillBEV."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from torch import Tensor, nn

from ...structures import BEVLevel
from ..registry import DISTILL
from .base import Aligner


@DISTILL.register_module()
class UpsampleConvAligner(Aligner):
    """(resize, conv3x3, norm, ReLU) twice, half of the zoom (in ratio) in each, then a 1x1 convolution.

    Args:
        student, teacher: given by the builder.
        norm_cfg: normalisation after each 3x3 convolution.
    """

    def __init__(self, *, student: BEVLevel, teacher: BEVLevel, norm_cfg: Mapping[str, Any] = dict(type='BN')) -> None:  # noqa: B006 (read only)
        super().__init__(student=student, teacher=teacher)
        self.half_way = (
            round((student.height * teacher.height) ** 0.5),
            round((student.width * teacher.width) ** 0.5),
        )
        self.conv1 = self._layer(student.channels, teacher.channels, norm_cfg)
        self.conv2 = self._layer(teacher.channels, teacher.channels, norm_cfg)
        self.conv3 = nn.Conv2d(teacher.channels, teacher.channels, 1)

    @staticmethod
    def _layer(in_channels, out_channels, norm_cfg):
        conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        return nn.Sequential(conv, build_norm_layer(norm_cfg, out_channels)[1], nn.ReLU())

    def align(self, feature: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C_T, H_T, W_T)."""
        feature = F.interpolate(feature, size=self.half_way, mode='bilinear', align_corners=True)
        return self.conv3(self.conv2(self.resize(self.conv1(feature))))
