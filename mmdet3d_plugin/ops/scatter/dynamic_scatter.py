"""Dynamic scatter in plain torch: runs on CPU and CUDA, differentiable, same result on every run.

mmcv's ``DynamicScatter`` has CUDA kernels only. Here points are grouped once by a single integer key per voxel and then
reduced as often as needed with the same :class:`VoxelGroups`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

_REDUCTIONS = ('max', 'mean', 'sum')
_INT64_MAX = 2**63 - 1


@dataclass(frozen=True)
class VoxelGroups:
    """Which points lie in which voxel.

    Attributes:
        coors: (V, D) coordinates of the voxels that hold at least one point, in lexicographic order; input dtype.
        index: (M,) int64, row of ``coors`` that point m belongs to.
    """

    coors: Tensor
    index: Tensor

    def __len__(self) -> int:
        return self.coors.shape[0]


def group_points(coors: Tensor) -> VoxelGroups:
    """Group points by voxel.

    Args:
        coors: (M, D) integer voxel coordinates, none negative, e.g. (sample, z, y, x).

    Raises:
        ValueError: wrong shape or dtype, a negative coordinate, or a grid with more cells than int64 can number.
    """
    if coors.dim() != 2 or coors.is_floating_point():
        raise ValueError(f'coors must be an (M, D) integer tensor, got {tuple(coors.shape)} {coors.dtype}')
    if coors.shape[0] == 0:
        return VoxelGroups(coors, coors.new_zeros(0, dtype=torch.int64))
    lowest, highest = torch.stack(coors.aminmax(dim=0)).tolist()
    if min(lowest) < 0:
        raise ValueError(f'coors has negative entries (column minima {lowest}): drop points outside the range first')
    sizes = [value + 1 for value in highest]
    cells = 1
    for size in sizes:
        cells *= size
    if cells > _INT64_MAX:
        raise ValueError(f'a grid of {sizes} cells does not fit an int64 key')
    key = torch.zeros_like(coors[:, 0], dtype=torch.int64)
    for column, size in enumerate(sizes):
        key = key * size + coors[:, column]
    key, index = torch.unique(key, return_inverse=True)
    columns = []
    for size in reversed(sizes):
        columns.append(key % size)
        key = torch.div(key, size, rounding_mode='floor')
    return VoxelGroups(torch.stack(columns[::-1], dim=1).to(coors.dtype), index)


def scatter_points(features: Tensor, groups: VoxelGroups, reduce: str) -> Tensor:
    """Reduce point features to voxel features.

    Sums add in a fixed order: on CUDA ``index_put(accumulate=True)`` does so, in CPU threads ``scatter_add`` with an
    expanded index. The gradient of a maximum
    is shared equally by the points that reach it.

    Args:
        features: (M, C) floating point.
        groups: the points' :class:`VoxelGroups`.
        reduce: 'max', 'mean' or 'sum'.

    Returns:
        (V, C), dtype of ``features``.

    Raises:
        ValueError: unknown ``reduce`` or a different number of points in ``features`` and ``groups``.
    """
    if reduce not in _REDUCTIONS:
        raise ValueError(f'reduce must be one of {", ".join(_REDUCTIONS)}, got {reduce!r}')
    if features.dim() != 2 or features.shape[0] != groups.index.shape[0]:
        raise ValueError(
            f'features must be (M, C) with one row per grouped point, got {tuple(features.shape)} '
            f'for {groups.index.shape[0]} points'
        )
    out = features.new_zeros(len(groups), features.shape[1])
    if reduce == 'max':
        index = groups.index[:, None].expand(-1, features.shape[1])
        return out.scatter_reduce(0, index, features, 'amax', include_self=False)
    if features.is_cuda:
        total = out.index_put((groups.index,), features, accumulate=True)
    else:
        total = out.scatter_add(0, groups.index[:, None].expand(-1, features.shape[1]), features)
    if reduce == 'sum':
        return total
    count = torch.bincount(groups.index, minlength=len(groups)).to(features.dtype)
    return total / count[:, None]


def dynamic_scatter(features: Tensor, coors: Tensor, reduce: str) -> tuple[Tensor, Tensor]:
    """Group and reduce in one call.

    Args:
        features: (M, C) point features.
        coors: (M, D) voxel coordinates of the points, see :func:`group_points`.
        reduce: 'max', 'mean' or 'sum'.

    Returns:
        ((V, C) voxel features, (V, D) voxel coordinates).
    """
    groups = group_points(coors)
    return scatter_points(features, groups, reduce), groups.coors
