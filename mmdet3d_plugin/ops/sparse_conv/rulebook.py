"""Rulebooks: which input voxel feeds which output voxel at which kernel offset, as lists of pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from . import operators, reference  # noqa: F401  operators: registered by the import
from .backend import select_sparse_backend
from .window import ConvWindow

if TYPE_CHECKING:
    from .mmcv_kernels import MMCVRulebook
    from .sparse_tensor import VoxelSites


@dataclass(frozen=True)
class Rulebook:
    """Pairs of a convolution, by kernel offset; within an offset both rows rise.

    Rising lists serve both directions: a block of outputs, or of inputs for their gradient, is a run of each offset's
    pairs, so that one thread makes all sums of a row and nothing is ever added from two.

    Attributes:
        outputs: the output voxels; None stands for the input voxels. They keep this rulebook: with a reference to them
            its memory would wait for the garbage collector.
        rows: number of output voxels.
        sources: (P,) int32, row of the input.
        targets: (P,) int32, row of the output.
        starts: (K + 1,) int64; the pairs of offset k are ``starts[k]`` to ``starts[k + 1]``.
    """

    outputs: VoxelSites | None
    rows: int
    sources: Tensor
    targets: Tensor
    starts: Tensor

    def convolve(self, features: Tensor, weight: Tensor) -> Tensor:
        """Convolve.

        Args:
            features: (V, C_in) floating point.
            weight: (kz, ky, kx, C_in, C_out).

        Returns:
            (W, C_out), the wider of the two dtypes; sums run in float32, or float64 for float64 inputs.
        """
        arguments = (features, weight.flatten(0, 2), self.sources, self.targets, self.starts, self.rows)
        if select_sparse_backend(features.device.type) == 'cpp':
            return torch.ops.dualdistill.sparse_conv(*arguments)
        return reference.sparse_conv(*arguments)


def make_rulebook(sites: VoxelSites, window: ConvWindow, submanifold: bool) -> Rulebook | MMCVRulebook:
    """Rulebook of a convolution over ``sites``, see :meth:`VoxelSites.rulebook`."""
    shape = window.out_shape(sites.spatial_shape)
    backend = select_sparse_backend(sites.coords.device.type)
    if backend == 'mmcv' and len(sites):
        from .mmcv_kernels import find_pairs  # CUDA only

        return find_pairs(sites, window, submanifold)
    geometry = (sites.grid, window.kernel, window.stride, window.padding, window.dilation)
    find = torch.ops.dualdistill if backend == 'cpp' else reference
    coords = sites.coords if submanifold else find.sparse_conv_outputs(sites.coords, *geometry)
    outputs = None if submanifold else type(sites)(coords, shape, sites.batch_size)
    return Rulebook(outputs, len(coords), *find.sparse_conv_pairs(sites.coords, coords, *geometry))
