"""mmcv's CUDA kernels behind the interface of :class:`.rulebook.Rulebook`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmcv.ops.sparse_functional import SparseConvFunction, SubMConvFunction
from mmcv.ops.sparse_ops import get_indice_pairs
from torch import Tensor

from .window import ConvWindow

if TYPE_CHECKING:
    from .sparse_tensor import VoxelSites


@dataclass(frozen=True)
class MMCVRulebook:
    """mmcv's lists of pairs: float32 and float16, no order of the output voxels is promised."""

    outputs: VoxelSites | None  # None: the input voxels, a submanifold convolution
    rows: int
    pairs: Tensor
    counts: Tensor

    def convolve(self, features: Tensor, weight: Tensor) -> Tensor:
        """(W, C_out) from (V, C_in) features and (kz, ky, kx, C_in, C_out) weight."""
        function = SubMConvFunction if self.outputs is None else SparseConvFunction
        return function.apply(features, weight, self.pairs, self.counts, self.rows)


def find_pairs(sites: VoxelSites, window: ConvWindow, submanifold: bool) -> MMCVRulebook:
    """As :meth:`VoxelSites.rulebook`, for CUDA tensors; coordinates are not checked."""
    geometry = (list(values) for values in (window.kernel, window.stride, window.padding, window.dilation))
    coords, pairs, counts = get_indice_pairs(
        sites.coords, sites.batch_size, list(sites.spatial_shape), *geometry, subm=submanifold
    )
    outputs = None if submanifold else type(sites)(coords, window.out_shape(sites.spatial_shape), sites.batch_size)
    return MMCVRulebook(outputs, len(coords), pairs, counts)
