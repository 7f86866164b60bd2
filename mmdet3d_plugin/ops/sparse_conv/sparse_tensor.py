"""Voxels of a batch with their features, and what the convolutions over the same voxels share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .rulebook import Rulebook, make_rulebook
from .window import ConvWindow

if TYPE_CHECKING:
    from .mmcv_kernels import MMCVRulebook


@dataclass(frozen=True, eq=False)
class VoxelSites:
    """Occupied voxels of a batch.

    Rulebooks found once are kept here: convolutions of a stage that share a window share the search, whatever their
    names. No ``indice_key`` has to be given, and a wrong one cannot mix up two sets of voxels.

    Attributes:
        coords: (V, 4) int32 (sample, z, y, x), each voxel once, in lexicographic order, which makes neighbours meet in
            memory. mmcv's CUDA kernels keep no order and need none.
        spatial_shape: (z, y, x) cells of the grid.
        batch_size: number of samples. Any of them may be without voxels.
    """

    coords: Tensor
    spatial_shape: tuple[int, ...]
    batch_size: int
    _rulebooks: dict[tuple[ConvWindow, bool], Rulebook | MMCVRulebook] = field(
        default_factory=dict, init=False, repr=False
    )

    def __post_init__(self) -> None:
        if self.coords.dim() != 2 or self.coords.shape[1] != 4 or self.coords.dtype != torch.int32:
            raise ValueError(
                f'voxel coordinates must be int32 (V, 4), got {self.coords.dtype} {tuple(self.coords.shape)}'
            )

    def __len__(self) -> int:
        return self.coords.shape[0]

    @property
    def grid(self) -> tuple[int, ...]:
        """(batch size, z, y, x)."""
        return (self.batch_size, *self.spatial_shape)

    def rulebook(self, window: ConvWindow, submanifold: bool) -> Rulebook | MMCVRulebook:
        """Which voxels a convolution reads and makes; found once a window.

        Args:
            window: of the convolution.
            submanifold: outputs are these voxels. Otherwise they are all cells with one of these in their window.

        Raises:
            ValueError, RuntimeError: a voxel outside the grid or there twice; names the row.
        """
        key = (window, submanifold)
        if key not in self._rulebooks:
            with torch.no_grad():
                self._rulebooks[key] = make_rulebook(self, window, submanifold)
        return self._rulebooks[key]

    def linear_index(self) -> Tensor:
        """(V,) int64 index of each voxel in a flattened (batch, z, y, x) grid."""
        index = torch.zeros(len(self), dtype=torch.int64, device=self.coords.device)
        for column, size in enumerate(self.grid):
            index = index * size + self.coords[:, column]
        return index


@dataclass(frozen=True)
class SparseTensor:
    """Features of :class:`VoxelSites`: (V, C), one row a voxel, in the order of ``sites.coords``."""

    features: Tensor
    sites: VoxelSites

    @classmethod
    def of(cls, features: Tensor, coords: Tensor, spatial_shape: Sequence[int], batch_size: int) -> SparseTensor:
        """From mmdet3d's parts, in any order; the result's rows are sorted.

        Args:
            features: (V, C).
            coords: (V, 4) integer (sample, z, y, x).
            spatial_shape: (z, y, x) cells of the grid.
            batch_size: number of samples.
        """
        sites = VoxelSites(coords.int().contiguous(), tuple(int(size) for size in spatial_shape), int(batch_size))
        order = torch.argsort(sites.linear_index())
        return cls(features[order], replace(sites, coords=sites.coords[order]))

    def with_features(self, features: Tensor) -> SparseTensor:
        """The same voxels with other features."""
        return replace(self, features=features)

    def dense(self) -> Tensor:
        """(B, C, z, y, x); cells without a voxel are zero."""
        sites, channels = self.sites, self.features.shape[1]
        batch, *shape = sites.grid
        flat = self.features.new_zeros(batch * shape[0] * shape[1] * shape[2], channels)
        flat = flat.index_put((sites.linear_index(),), self.features)
        return flat.view(batch, *shape, channels).permute(0, 4, 1, 2, 3).contiguous()
