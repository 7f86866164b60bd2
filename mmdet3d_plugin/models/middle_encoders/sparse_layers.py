"""Blocks of sparse convolutions, normalisation and activation, with mmdet3d's parameter names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmcv.cnn import build_norm_layer
from torch import nn

from ...ops.sparse_conv import SparseConv3d, SparseTensor, SubMConv3d
from ..evaluating import evaluating


class SparseBasicBlock(nn.Module):
    """relu(bn(conv)), bn(conv), sum with the input, relu. Convolutions are submanifold, 3x3x3, without bias.

    Args:
        channels: of input and output.
        norm_cfg: normalisation.
    """

    def __init__(self, channels: int, norm_cfg: Mapping[str, Any]) -> None:
        super().__init__()
        self.conv1 = SubMConv3d(channels, channels, 3, bias=False)
        self.bn1 = build_norm_layer(dict(norm_cfg), channels)[1]
        self.conv2 = SubMConv3d(channels, channels, 3, bias=False)
        self.bn2 = build_norm_layer(dict(norm_cfg), channels)[1]
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: SparseTensor) -> SparseTensor:
        """The same voxels with new features."""
        out = _each_voxel(self.bn1, self.conv1(x))
        out = self.conv2(out.with_features(self.relu(out.features)))
        out = _each_voxel(self.bn2, out)
        return out.with_features(self.relu(out.features + x.features))


class SparseSequential(nn.Sequential):
    """Layers one after the other; normalisation and activation see the features alone."""

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Run all layers."""
        for layer in self:
            takes_voxels = isinstance(layer, (SubMConv3d, SparseConv3d, SparseBasicBlock, SparseSequential))
            x = layer(x) if takes_voxels else _each_voxel(layer, x)
        return x


def conv_norm_relu(
    conv: type[nn.Module],
    in_channels: int,
    out_channels: int,
    kernel_size: int | Sequence[int],
    norm_cfg: Mapping[str, Any],
    **kwargs: Any,
) -> SparseSequential:
    """A sparse convolution without bias, normalisation, ReLU; ``kwargs`` go to the convolution."""
    return SparseSequential(
        conv(in_channels, out_channels, kernel_size, bias=False, **kwargs),
        build_norm_layer(dict(norm_cfg), out_channels)[1],
        nn.ReLU(inplace=True),
    )


def _each_voxel(layer, x):
    # one value per channel has no batch statistics: the running ones normalise it
    with evaluating(layer, active=len(x.features) < 2):
        return x.with_features(layer(x.features))
