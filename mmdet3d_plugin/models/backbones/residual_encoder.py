"""Residual convolution stages over BEV (or image) feature maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmcv.runner import BaseModule
from mmdet.models.backbones.resnet import BasicBlock
from mmdet3d.models.builder import BACKBONES
from torch import Tensor, nn

from ...structures import BEVLevel


@BACKBONES.register_module()
class ResidualEncoder(BaseModule):
    """Stages of basic residual blocks; every stage starts with a block whose shortcut is a plain 3x3 convolution.

    Args:
        in_channels: channels of the input map.
        channels: output channels of each stage.
        num_blocks: blocks in each stage.
        strides: stride of each stage's first block.
        norm_cfg: normalisation layer.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        channels: Sequence[int] = (128, 256, 512),
        num_blocks: Sequence[int] = (2, 2, 2),
        strides: Sequence[int] = (2, 2, 2),
        norm_cfg: Mapping[str, Any] = dict(type='BN'),  # noqa: B006  (read only)
        init_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not len(channels) == len(num_blocks) == len(strides):
            raise ValueError(
                f'channels {tuple(channels)}, num_blocks {tuple(num_blocks)} and strides {tuple(strides)} must have '
                f'one entry per stage'
            )
        self.in_channels = in_channels
        self.channels = tuple(channels)
        self.strides = tuple(strides)
        stages = []
        for out_channels, blocks, stride in zip(channels, num_blocks, strides):
            shortcut = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1)
            stage = [BasicBlock(in_channels, out_channels, stride=stride, downsample=shortcut, norm_cfg=norm_cfg)]
            stage += [BasicBlock(out_channels, out_channels, norm_cfg=norm_cfg) for _ in range(blocks - 1)]
            stages.append(nn.Sequential(*stage))
            in_channels = out_channels
        self.layers = nn.Sequential(*stages)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, C, H, W) -> tuple of one map per stage, fine to coarse."""
        outs = []
        for stage in self.layers:
            x = stage(x)
            outs.append(x)
        return tuple(outs)

    def output_levels(self, level: BEVLevel) -> list[BEVLevel]:
        """Sizes of the output maps for an input of size ``level``.

        Raises:
            ValueError: the input's channels are not the encoder's.
        """
        if level.channels != self.in_channels:
            raise ValueError(f'the BEV encoder takes {self.in_channels} channels but is fed {level}')
        levels = []
        for channels, stride in zip(self.channels, self.strides):
            level = level.resized(channels, -(-level.height // stride), -(-level.width // stride))
            levels.append(level)
        return levels
