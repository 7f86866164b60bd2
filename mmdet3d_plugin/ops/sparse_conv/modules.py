"""Sparse convolution layers: mmcv's parameters and constructors, run on :class:`SparseTensor`."""

from __future__ import annotations

from typing import Any

from mmcv import ops as mmcv_ops

from .sparse_tensor import SparseTensor
from .window import ConvWindow


class _WithWindow:
    """Makes the window once, when mmcv's constructor knows kernel, stride, padding and dilation."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.window = self._make_window()

    def _make_window(self) -> ConvWindow:
        raise NotImplementedError


class SubMConv3d(_WithWindow, mmcv_ops.SubMConv3d):
    """Submanifold convolution: outputs are the input voxels, which see their occupied neighbours.

    Constructor, initialisation and the parameters ``weight`` (kz, ky, kx, in, out) and ``bias`` are mmcv's. Padding and
    stride are ignored, as there; ``indice_key`` too, because :class:`VoxelSites` knows what can be shared.
    """

    def _make_window(self):
        return ConvWindow.submanifold(self.kernel_size, self.dilation)

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Convolve: (V, in) features to (V, out) of the same voxels."""
        return _convolve(self, x, submanifold=True)


class SparseConv3d(_WithWindow, mmcv_ops.SparseConv3d):
    """Strided convolution: outputs are all cells with a voxel in their window.

    Constructor, initialisation and parameters are mmcv's, see :class:`SubMConv3d`.
    """

    def _make_window(self):
        return ConvWindow.of(self.kernel_size, self.stride, self.padding, self.dilation)

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Convolve: (V, in) features to (W, out) of the voxels that see them."""
        return _convolve(self, x, submanifold=False)


def _convolve(layer, x, submanifold):
    if x.features.shape[1] != layer.in_channels:
        raise ValueError(f'voxels have {x.features.shape[1]} channels, the convolution takes {layer.in_channels}')
    rulebook = x.sites.rulebook(layer.window, submanifold)
    features = rulebook.convolve(x.features, layer.weight)
    if layer.bias is not None:
        features = features + layer.bias
    return SparseTensor(features, x.sites if rulebook.outputs is None else rulebook.outputs)
