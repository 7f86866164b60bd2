"""Feature pyramid that returns its finest level only."""

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from mmdet.models.necks import FPN
from mmdet3d.models.builder import NECKS
from torch import Tensor, nn


@NECKS.register_module()
class FinestFPN(FPN):
    """mmdet's FPN without the coarse outputs a single-scale view transform never reads.

    mmdet's own asserts ``num_outs >= len(in_channels)``; computing and dropping the other levels would also leave
    parameters without gradients, which distributed training rejects.

    Args:
        in_channels: channels of the backbone maps, fine to coarse.
        out_channels: channels of the output.
    """

    fpn_convs: nn.ModuleList

    def __init__(self, *, in_channels: Sequence[int], out_channels: int, **kwargs: Any) -> None:
        super().__init__(list(in_channels), out_channels, num_outs=len(in_channels), **kwargs)
        self.fpn_convs = self.fpn_convs[:1]

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Maps (M, C_i, h_i, w_i), fine to coarse -> (M, out_channels, h_0, w_0)."""
        if len(inputs) != len(self.in_channels):
            raise ValueError(f'the image neck takes {len(self.in_channels)} maps, the backbone gives {len(inputs)}')
        coarse = None
        for feature, lateral in zip(reversed(inputs), reversed(self.lateral_convs)):
            merged = lateral(feature)
            if coarse is not None:
                merged = merged + F.interpolate(coarse, size=merged.shape[-2:], **self.upsample_cfg)
            coarse = merged
        return self.fpn_convs[0](coarse)
