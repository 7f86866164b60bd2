"""Voxel features to a BEV map by sparse 3-D convolutions (SECOND, Sensors 2018)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmcv.runner import force_fp32
from mmdet3d.models.builder import MIDDLE_ENCODERS
from torch import Tensor, nn

from ...ops.sparse_conv import SparseConv3d, SparseTensor, SubMConv3d
from .sparse_layers import SparseBasicBlock, SparseSequential, conv_norm_relu

ORDER = ('conv', 'norm', 'act')


@MIDDLE_ENCODERS.register_module()
class BEVSparseEncoder(nn.Module):
    """mmdet3d's ``SparseEncoder`` for CPU and CUDA: its arguments, parameter names and weight layout.

    Written on this project's sparse convolution rather than derived from mmdet3d's class, which builds whatever
    ``SubMConv3d`` the registry holds: mmcv's has no CPU kernels, and an installed spconv replaces it together with the
    layout of the weights.

    Empty samples and a batch without any voxel work. Features are encoded in float32, also under fp16.

    Args:
        in_channels: of the voxel features.
        sparse_shape: (z, y, x) cells of the grid; z is one more than the voxels along z in published configs.
        order: of convolution, normalisation and activation; only ('conv', 'norm', 'act').
        norm_cfg: normalisation.
        base_channels: of the first convolution.
        output_channels: of the last one, for each of the cells that are left along z.
        encoder_channels: of the layers of each stage.
        encoder_paddings: of the layers of each stage; only strided ones use it.
        block_type: 'conv_module', a stage starts with a strided convolution unless it is the first, or 'basicblock', a
            stage ends with one unless it is the last, and its other layers are residual blocks.

    Attributes:
        bev_channels: channels of the map: ``output_channels`` * cells along z.
        bev_size: (rows, columns) of the map.
    """

    def __init__(
        self,
        in_channels: int,
        sparse_shape: Sequence[int],
        order: Sequence[str] = ORDER,
        norm_cfg: Mapping[str, Any] | None = None,
        base_channels: int = 16,
        output_channels: int = 128,
        encoder_channels: Sequence[Sequence[int]] = ((16,), (32, 32, 32), (64, 64, 64), (64, 64, 64)),
        encoder_paddings: Sequence[Sequence[int | Sequence[int]]] = ((1,), (1, 1, 1), (1, 1, 1), ((0, 1, 1), 1, 1)),
        block_type: str = 'conv_module',
    ) -> None:
        super().__init__()
        if tuple(order) != ORDER:
            raise ValueError(f'BEVSparseEncoder: order is {ORDER}, got {tuple(order)}')
        if block_type not in ('conv_module', 'basicblock'):
            raise ValueError(f"BEVSparseEncoder: block_type is 'conv_module' or 'basicblock', got {block_type!r}")
        if [len(stage) for stage in encoder_channels] != [len(stage) for stage in encoder_paddings]:
            raise ValueError('BEVSparseEncoder: encoder_paddings needs one entry for each of encoder_channels')
        norm_cfg = dict(type='BN1d', eps=1e-3, momentum=0.01) if norm_cfg is None else norm_cfg
        self.in_channels = in_channels
        self.sparse_shape = tuple(int(size) for size in sparse_shape)
        self.fp16_enabled = False
        self.conv_input = conv_norm_relu(SubMConv3d, in_channels, base_channels, 3, norm_cfg)
        self.encoder_layers = SparseSequential()
        channels = base_channels
        for number, widths in enumerate(encoder_channels):
            plan = [_is_strided(block_type, number, len(encoder_channels), i, len(widths)) for i in range(len(widths))]
            stage = SparseSequential()
            for width, padding, strided in zip(widths, encoder_paddings[number], plan):
                stage.append(_layer(block_type, channels, width, padding, strided, norm_cfg))
                channels = width
            self.encoder_layers.add_module(f'encoder_layer{number + 1}', stage)
        self.conv_out = conv_norm_relu(
            SparseConv3d, channels, output_channels, (3, 1, 1), norm_cfg, stride=(2, 1, 1), padding=0
        )
        depth, *self.bev_size = self._out_shape()
        self.bev_channels = output_channels * depth

    def _out_shape(self):
        """Cells (z, y, x) after all strided convolutions."""
        shape = self.sparse_shape
        for layer in self.modules():
            if isinstance(layer, SparseConv3d):
                shape = layer.window.out_shape(shape)
        return shape

    @force_fp32(apply_to=('voxel_features',), out_fp16=True)
    def forward(self, voxel_features: Tensor, coors: Tensor, batch_size: int) -> Tensor:
        """Encode.

        Args:
            voxel_features: (V, in_channels).
            coors: (V, 4) integer (sample, z, y, x), each voxel once, in any order.
            batch_size: number of samples; the last ones may have no voxel.

        Returns:
            (batch_size, bev_channels, rows, columns); channel = channel of the last convolution * cells along z
            + z, as in published weights.
        """
        x = SparseTensor.of(voxel_features, coors, self.sparse_shape, batch_size)
        return self.conv_out(self.encoder_layers(self.conv_input(x))).dense().flatten(1, 2)


def _is_strided(block_type, stage, num_stages, layer, num_layers):
    if block_type == 'basicblock':
        return layer == num_layers - 1 and stage != num_stages - 1
    return layer == 0 and stage != 0


def _layer(block_type, in_channels, out_channels, padding, strided, norm_cfg):
    if strided:
        return conv_norm_relu(SparseConv3d, in_channels, out_channels, 3, norm_cfg, stride=2, padding=padding)
    if block_type == 'conv_module':
        return conv_norm_relu(SubMConv3d, in_channels, out_channels, 3, norm_cfg)
    if in_channels != out_channels:
        raise ValueError(
            f'BEVSparseEncoder: a residual block keeps its channels, encoder_channels asks for {in_channels} -> '
            f'{out_channels}'
        )
    return SparseBasicBlock(out_channels, norm_cfg)
