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
from mmdet3d_plugin.structures import BEVGrid

from .bev_pool import GEOMETRIES, GRID, Z_RANGE, random_inputs, random_locations
from .cuda_emulator import read_result, write_case

_FORWARD, _BACKWARD, _SORT = range(3)
_MOST_POINTS = 2**31 - 1
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
        at_the_end: whether the lists of points end at the last number of an int32, as if others came before.
        grid: where points are summed.
    """

    channels: int = 8
    locations: Callable[[], Tensor] = random_locations
    dtype: torch.dtype = torch.float32
    channels_last: bool = False
    misaligned: bool = False
    at_the_end: bool = False
    grid: BEVGrid = GRID

    @property
    def cells(self) -> int:
        """Of one sample."""
        return self.grid.height * self.grid.width

    @functools.cached_property
    def plan(self) -> BEVPoolPlan:
        """Made by plain torch."""
        torch.manual_seed(3)
        plan = BEVPoolPlan.from_geometry(self.locations(), self.grid, Z_RANGE)
        lists = sort_points(plan.point_cells, self.cells)
        return BEVPoolPlan(plan.point_cells, *lists, plan.frustum_shape, plan.bev_size)

    @functools.cached_property
    def inputs(self) -> tuple[Tensor, Tensor, Tensor]:
        """Depth (B, N, D, h, w), context (B, N, C, h, w) and the gradient (B, C, H, W) of the output."""
        torch.manual_seed(4)
        depth, context = random_inputs(self.plan.frustum_shape, self.channels)
        sums = torch.promote_types(self.dtype, torch.float32)
        grad = torch.randn(len(context), self.channels, *self.plan.bev_size)
        return depth.to(sums), context.to(self.dtype), grad.to(sums)

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
        write_case(files['sort'], _SORT, batch * self.cells, bins, height * width, self.plan.point_cells.numpy())
        return files

    def _numbers(self):
        return _ROW_TYPES.index(self.dtype), int(self.misaligned)

    def _forward(self):
        depth, context, _ = self.inputs
        plan = self.plan
        shift = _MOST_POINTS - int(plan.cell_starts[-1]) if self.at_the_end else 0
        sizes = (shift, context.shape[0], self.cells, self.channels)
        rows, starts = context.permute(0, 1, 3, 4, 2), plan.cell_starts + shift
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


def _one_cell(depths=59):
    """As many points as a whole frustum has; one cell holds them all."""
    return torch.tensor([0.3, 0.3, 0.0]).expand(1, 6, depths, 16, 8, 3)


def _sized(*shape):
    return functools.partial(random_locations, shape)


_FEW = _sized(1, 2, 2, 3, 5)
_ODD = BEVGrid(x_min=-8.0, y_min=-6.0, x_max=8.0, y_max=6.0, height=5, width=9)  # no whole number of tiles or vectors
_TWELVE = BEVGrid(x_min=-8.0, y_min=-6.0, x_max=8.0, y_max=6.0, height=3, width=4)  # vectors, but no whole tiles

CASES = {
    **{f'{channels}_channels': PoolCase(channels) for channels in (1, 8, 64, 100)},
    **{f'{channels}_channels': PoolCase(channels, _FEW, grid=_ODD) for channels in (33, 300, 520)},
    'misaligned': PoolCase(8, misaligned=True),
    '9_channels_misaligned': PoolCase(9, misaligned=True, grid=_ODD),
    'half': PoolCase(64, dtype=torch.float16),
    'half_520_channels': PoolCase(520, _FEW, torch.float16),
    'half_misaligned': PoolCase(16, dtype=torch.float16, misaligned=True),
    'bfloat16': PoolCase(24, dtype=torch.bfloat16),
    'bfloat16_odd': PoolCase(13, dtype=torch.bfloat16, grid=_ODD),
    'double': PoolCase(12, dtype=torch.float64),
    'double_misaligned': PoolCase(130, _FEW, torch.float64, misaligned=True, grid=_TWELVE),
    'rows': PoolCase(16, channels_last=True, grid=_TWELVE),
    'half_rows': PoolCase(40, dtype=torch.float16, channels_last=True),
    'two_bins': PoolCase(64, _sized(2, 2, 2, 4, 8)),
    '65_bins': PoolCase(20, _sized(1, 1, 65, 2, 4)),
    'one_pixel': PoolCase(8, _sized(1, 1, 9, 1, 1)),
    'at_the_end': PoolCase(8, at_the_end=True),
    'one_cell': PoolCase(8, functools.partial(_one_cell, 1)),
    'none_inside': PoolCase(8, GEOMETRIES['none_inside']),
    'no_sample': PoolCase(8, GEOMETRIES['no_sample']),
    'no_depth': PoolCase(8, GEOMETRIES['no_depth']),
    'no_channel': PoolCase(0),
}
LONGEST_SUM = PoolCase(128, _one_cell)  # 128 floats take a whole warp: one chain of additions holds all points
WHOLE_SECTORS = dict(
    float=PoolCase(64, _sized(1, 2, 16, 4, 8)),
    half=PoolCase(64, _sized(1, 2, 16, 4, 8), torch.float16),
)
