"""BEV neck of the lift-splat detectors: coarse map up to the fine one, joined, refined and upsampled once more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from mmcv.runner import BaseModule
from mmdet3d.models.builder import NECKS
from torch import Tensor, nn

from ...structures import BEVLevel


@NECKS.register_module()
class LSSFPN(BaseModule):
    """Join two BEV maps at the finer one's size, then upsample.

    coarse -> bilinear to the fine map's size -> cat fine -> 2 x (3x3, norm, ReLU) at ``2 * out_channels`` -> bilinear
    x ``extra_upsample`` -> 3x3, norm, ReLU at ``out_channels`` -> 1x1 (-> norm, ReLU with ``extra_norm_act``).

    Args:
        in_channels: channels of the (fine, coarse) input maps.
        out_channels: channels of the output.
        input_indices: which two backbone maps to take, (fine, coarse).
        extra_upsample: factor of the last upsampling.
        extra_norm_act: end with normalisation and ReLU.
        norm_cfg: normalisation layer.
    """

    def __init__(
        self,
        *,
        in_channels: Sequence[int],
        out_channels: int,
        input_indices: Sequence[int] = (0, 2),
        extra_upsample: int = 2,
        extra_norm_act: bool = True,
        norm_cfg: Mapping[str, Any] = dict(type='BN'),  # noqa: B006  (read only)
        init_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if len(in_channels) != 2 or len(input_indices) != 2:
            raise ValueError(
                f'LSSFPN joins two maps: in_channels {tuple(in_channels)} and input_indices {tuple(input_indices)} '
                f'must have two entries each, (fine, coarse)'
            )
        self.in_channels = tuple(in_channels)
        self.out_channels = out_channels
        self.input_indices = tuple(input_indices)
        self.extra_upsample = extra_upsample
        wide = 2 * out_channels
        self.conv = nn.Sequential(
            *_conv_norm_relu(sum(in_channels), wide, norm_cfg), *_conv_norm_relu(wide, wide, norm_cfg)
        )
        tail: list[nn.Module] = [nn.Upsample(scale_factor=extra_upsample, mode='bilinear', align_corners=True)]
        tail += _conv_norm_relu(wide, out_channels, norm_cfg)
        tail.append(nn.Conv2d(out_channels, out_channels, 1))
        if extra_norm_act:
            tail += [build_norm_layer(norm_cfg, out_channels)[1], nn.ReLU(inplace=True)]
        self.up2 = nn.Sequential(*tail)

    def forward(self, feats: Sequence[Tensor]) -> Tensor:
        """Backbone maps, each (B, C_i, H_i, W_i) -> (B, out_channels, H_fine * extra, W_fine * extra)."""
        fine, coarse = (feats[index] for index in self.input_indices)
        coarse = F.interpolate(coarse, size=fine.shape[-2:], mode='bilinear', align_corners=True)
        return self.up2(self.conv(torch.cat([fine, coarse], dim=1)))

    def output_level(self, levels: Sequence[BEVLevel]) -> BEVLevel:
        """Size of the output for backbone maps of sizes ``levels``.

        Raises:
            ValueError: a map is missing or its channels are not those the neck was built for.
        """
        if max(self.input_indices) >= len(levels):
            raise ValueError(
                f'the BEV neck reads backbone maps {self.input_indices} but there are only {len(levels)} maps'
            )
        fine, coarse = (levels[index] for index in self.input_indices)
        if (fine.channels, coarse.channels) != self.in_channels:
            raise ValueError(
                f'the BEV neck takes {self.in_channels} channels but the backbone gives '
                f'{(fine.channels, coarse.channels)} at maps {self.input_indices}'
            )
        return fine.resized(self.out_channels, fine.height * self.extra_upsample, fine.width * self.extra_upsample)


def _conv_norm_relu(in_channels, out_channels, norm_cfg):
    return [
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
        build_norm_layer(norm_cfg, out_channels)[1],
        nn.ReLU(inplace=True),
    ]
