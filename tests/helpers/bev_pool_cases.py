"""Cases of BEV pooling for its emulated CUDA kernels (``tests/cuda_emulator/bev_pool_driver.cpp``)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mmdet3d_plugin.ops.bev_pool import BEVPoolPlan
from mmdet3d_plugin.ops.bev_pool.operators import sort_points
from mmdet3d_plugin.ops.bev_pool.reference import bev_pool_reference

from .bev_pool import GEOMETRIES, GRID, Z_RANGE, random_locations
from .cuda_emulator import read_result, write_case

_FORWARD, _BACKWARD, _SORT = range(3)
_ROW_TYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]  # as enum RowType


@dataclass(frozen=True)
class PoolCase:
    """What is pooled.

    Attributes:
        channels: of the context.
        locations: makes the (B, N, D, h, w, 3) points.
        dtype: of the context; depths and gradients have the type sums run in.
        channels_last: whether the backward's context lies in memory by rows.
        misaligned: whether rows and outputs start one value behind an address that vectors want.
        shift: added to the number of each place in the lists of points, as if so many points came before.
    """

    channels: int = 8
    locations: Callable[[], Tensor] = random_locations
    dtype: torch.dtype = torch.float32
    channels_last: bool = False
    misaligned: bool = False
    shift: int = 0

    @functools.cached_property
    def plan(self) -> BEVPoolPlan:
        """Made by plain torch."""
        torch.manual_seed(3)
        plan = BEVPoolPlan.from_geometry(self.locations(), GRID, Z_RANGE)
        lists = sort_points(plan.point_cells, GRID.height * GRID.width)
        return BEVPoolPlan(plan.point_cells, *lists, plan.frustum_shape, plan.bev_size)

    @functools.cached_property
    def inputs(self) -> tuple[Tensor, Tensor, Tensor]:
        """Depth (B, N, D, h, w), context (B, N, C, h, w) and the gradient (B, C, H, W) of the output."""
        torch.manual_seed(4)
        batch, cams, _, height, width = shape = self.plan.frustum_shape
        sums = torch.promote_types(self.dtype, torch.float32)
        context = torch.randn(batch, cams, self.channels, height, width).to(self.dtype)
        grad = torch.randn(batch, self.channels, *self.plan.bev_size, dtype=sums)
        return torch.rand(shape, dtype=sums), context, grad

    @functools.cached_property
    def expected(self) -> dict[str, Tensor]:
        """'out', 'grad_depth', 'grad_context', in float64."""
        return self._pool(*self.inputs)

    @functools.cached_property
    def sizes(self) -> dict[str, Tensor]:
        """Sums of the absolute values of what is added up in :attr:`expected`."""
        return self._pool(*(tensor.abs() for tensor in self.inputs))

    def _pool(self, depth, context, grad):
        depth, context = (tensor.double().requires_grad_() for tensor in (depth, context))
        out = bev_pool_reference(depth, context, self.plan)
        gradients = torch.autograd.grad(out, (depth, context), grad.double())
        return dict(zip(('out', 'grad_depth', 'grad_context'), (out.detach(), *gradients)))

    def write(self, folder: Path) -> dict[str, Path]:
        """Write 'forward', 'backward' and 'sort' cases; returns their files."""
        files = {kind: folder / f'{kind}.case' for kind in ('forward', 'backward', 'sort')}
        write_case(files['forward'], _FORWARD, *self._forward())
        write_case(files['backward'], _BACKWARD, *self._backward())
        batch, _, bins, height, width = self.plan.frustum_shape
        cells = batch * GRID.height * GRID.width
        write_case(files['sort'], _SORT, cells, bins, height * width, self.plan.point_cells.numpy())
        return files

    def _numbers(self):
        return _ROW_TYPES.index(self.dtype), int(self.misaligned)

    def _forward(self):
        depth, context, _ = self.inputs
        plan = self.plan
        sizes = (self.shift, context.shape[0], GRID.height * GRID.width, self.channels)
        rows, starts = context.permute(0, 1, 3, 4, 2), plan.cell_starts + self.shift
        return (*self._numbers(), *sizes, *map(_bytes, (depth, rows, plan.points, plan.pixels, starts)))

    def _backward(self):
        depth, context, grad = self.inputs
        batch, cams, bins, height, width = self.plan.frustum_shape
        pixels = height * width
        strides = (1, self.channels) if self.channels_last else (pixels, 1)  # of channels and pixels
        context = context.permute(0, 1, 3, 4, 2) if self.channels_last else context
        sizes = (self.channels * pixels, *strides, batch * cams, bins, pixels, self.channels)
        arrays = (depth, context, grad.permute(0, 2, 3, 1), self.plan.point_cells)
        return (*self._numbers(), *sizes, *map(_bytes, arrays))

    def read(self, kind: str, path: Path) -> dict[str, Tensor]:
        """Tensors by name, with their shapes, of a result."""
        depth, context, grad = self.inputs
        plan = self.plan
        likes = dict(
            forward=dict(out=grad),
            backward=dict(grad_depth=depth, grad_context=context),
            sort=dict(points=plan.points, pixels=plan.pixels, cell_starts=plan.cell_starts),
        )[kind]
        arrays = read_result(path)
        assert len(arrays) == len(likes)
        return {
            name: torch.frombuffer(bytearray(data), dtype=like.dtype).view(like.shape)
            if data
            else torch.empty_like(like)
            for (name, like), data in zip(likes.items(), arrays)
        }


def _bytes(tensor):
    return tensor.detach().contiguous().flatten().view(torch.uint8).numpy() if tensor.numel() else np.empty(0)


def _one_cell(depths=59, width=8):
    """Of the first sample's cells, one holds every point."""
    return torch.tensor([0.3, 0.3, 0.0]).expand(1, 6, depths, 16, width, 3)


def _wide(shape):
    return functools.partial(random_locations, shape)


_NARROW = (1, 2, 2, 3, 5)
_NEAR_THE_END = 2**31 - 1 - 8 * 59 * 96  # no list is longer

CASES = {
    **{f'{channels}_channels': PoolCase(channels) for channels in (1, 7, 8, 64, 100)},
    **{f'{channels}_channels': PoolCase(channels, _wide(_NARROW)) for channels in (33, 300, 520)},
    **{f'{channels}_channels_misaligned': PoolCase(channels, misaligned=True) for channels in (8, 9)},
    'half': PoolCase(64, dtype=torch.float16),
    'half_520_channels': PoolCase(520, _wide(_NARROW), torch.float16),
    'half_misaligned': PoolCase(16, dtype=torch.float16, misaligned=True),
    'bfloat16': PoolCase(24, dtype=torch.bfloat16),
    'bfloat16_odd': PoolCase(13, dtype=torch.bfloat16),
    'double': PoolCase(12, dtype=torch.float64),
    'double_misaligned': PoolCase(130, _wide(_NARROW), torch.float64, misaligned=True),
    'rows': PoolCase(16, channels_last=True),
    'half_rows': PoolCase(40, dtype=torch.float16, channels_last=True),
    'two_bins': PoolCase(64, _wide((2, 2, 2, 4, 8))),
    'bins_65': PoolCase(20, _wide((1, 1, 65, 2, 4))),
    'one_pixel': PoolCase(8, _wide((1, 1, 9, 1, 1))),
    'near_2^31_points': PoolCase(8, shift=_NEAR_THE_END),
    'one_cell_one_bin': PoolCase(8, functools.partial(_one_cell, 1)),
    'none_inside': PoolCase(8, GEOMETRIES['none_inside']),
    'no_sample': PoolCase(8, GEOMETRIES['no_sample']),
    'no_depth': PoolCase(8, GEOMETRIES['no_depth']),
    'no_channel': PoolCase(0),
}
ONE_CELL = PoolCase(128, _one_cell)  # one group of lanes: the longest chain of additions
