"""Sparse convolution in plain torch: where no kernels are, and what the kernels are tested against.

Voxels are found by binary search in sorted linear keys, one kernel offset after the other; each offset gathers rows,
multiplies them with its part of the weight and adds the products to the outputs. Same arguments as the operators in
:mod:`.operators`; ``grid`` is (batch, z, y, x), everything else (z, y, x).
"""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from .window import ConvWindow


def sparse_conv_outputs(
    coords: Tensor,
    grid: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> Tensor:
    """(W, 4) int32 output voxels: all cells with an input voxel in their window, in lexicographic order."""
    _check_coords(coords, grid)
    out_shape = _out_grid(grid, kernel, stride, padding, dilation)
    stride_, size = (coords.new_tensor(values) for values in (stride, out_shape[1:]))
    keys = []
    for offset in _offsets(kernel, padding, dilation, coords):
        scaled = coords[:, 1:] - offset
        cell = torch.div(scaled, stride_, rounding_mode='floor')
        reached = ((scaled == cell * stride_) & (cell >= 0) & (cell < size)).all(dim=1)
        keys.append(_keys(torch.cat([coords[:, :1], cell], dim=1)[reached], out_shape))
    return _coords(torch.unique(torch.cat(keys)), out_shape)


def sparse_conv_pairs(
    coords: Tensor,
    out_coords: Tensor,
    grid: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> tuple[Tensor, Tensor, Tensor]:
    """Lists ``sources``, ``targets`` and ``starts`` of a :class:`Rulebook`."""
    _check_coords(coords, grid)
    keys, order = torch.sort(_keys(coords, grid))
    _refuse_duplicates(keys, order)
    size, stride_ = coords.new_tensor(grid[1:]), coords.new_tensor(stride)
    sources, targets = [], []
    for offset in _offsets(kernel, padding, dilation, coords):
        cell = out_coords[:, 1:] * stride_ + offset
        inside = ((cell >= 0) & (cell < size)).all(dim=1)
        wanted = torch.where(inside, _keys(torch.cat([out_coords[:, :1], cell], dim=1), grid), -1)
        place = torch.searchsorted(keys, wanted).clamp(max=max(len(keys) - 1, 0))
        target = (keys[place] == wanted).nonzero().squeeze(1) if len(keys) else place
        sources.append(order[place[target]].int())
        targets.append(target.int())
    starts = torch.tensor([0, *itertools.accumulate(map(len, sources))], device=coords.device)
    return torch.cat(sources), torch.cat(targets), starts


def sparse_conv(
    features: Tensor, weight: Tensor, sources: Tensor, targets: Tensor, starts: Tensor, rows: int
) -> Tensor:
    """(rows, C_out) from (V, C_in) features, (K, C_in, C_out) weight and the pairs of a :class:`Rulebook`."""
    dtype = torch.promote_types(features.dtype, weight.dtype)
    sum_type = torch.promote_types(dtype, torch.float32)
    features, weight = features.to(sum_type), weight.to(sum_type)
    out = features.new_zeros(rows, weight.shape[2])
    counts = starts.diff().tolist()
    for part, source, target in zip(weight, sources.split(counts), targets.split(counts)):
        out.index_add_(0, target, features[source.long()] @ part)
    return out.to(dtype)


def _out_grid(grid, kernel, stride, padding, dilation):
    return (grid[0], *ConvWindow(tuple(kernel), tuple(stride), tuple(padding), tuple(dilation)).out_shape(grid[1:]))


def _offsets(kernel, padding, dilation, like):
    """(3,) tensors ``k * dilation - padding`` in the order of the weight."""
    for place in itertools.product(*map(range, kernel)):
        yield like.new_tensor([k * step - pad for k, step, pad in zip(place, dilation, padding)])


def _keys(coords, grid):
    """(V,) int64 number of each cell of the grid."""
    keys = torch.zeros(len(coords), dtype=torch.int64, device=coords.device)
    for column, size in enumerate(grid):
        keys = keys * size + coords[:, column]
    return keys


def _coords(keys, grid):
    """(V, 4) int32 from :func:`_keys`."""
    columns = []
    for size in reversed(grid):
        columns.append(keys % size)
        keys = torch.div(keys, size, rounding_mode='floor')
    return torch.stack(columns[::-1], dim=1).int()


def _check_coords(coords, grid):
    outside = ((coords < 0) | (coords >= coords.new_tensor(grid))).any(dim=1)
    if outside.any():
        row = int(outside.nonzero()[0])
        raise ValueError(f'sparse_conv: row {row} of coords lies outside the grid (batch, z, y, x) of {list(grid)}')


def _refuse_duplicates(keys, order):
    twice = (keys[1:] == keys[:-1]).nonzero()
    if len(twice):
        first, second = order[int(twice[0]) :][:2].tolist()
        raise ValueError(f'sparse_conv: rows {first} and {second} of coords are the same voxel: merge them first')
