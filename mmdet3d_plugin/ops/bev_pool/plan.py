"""Which frustum point feeds which BEV cell: computed once from geometry, shared by every BEV pooling back end."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...structures import BEVGrid
from ..backend import select_backend
from .operators import sort_points

_MOST_POINTS = 2**31 - 1


@dataclass(frozen=True)
class BEVPoolPlan:
    """Lists that forward (by cell) and backward (by pixel) gather from; P = B * N * D * h * w points, all int32.

    Attributes:
        point_cells: (B, N, D, h, w), flat target cell ``(b * H + row) * W + col`` of each point, -1 for none. Read
            along D it is the list of cells that a pixel's gradients come from.
        points: (P,), flat index of each point in a (B, N, D, h, w) depth tensor, by target cell, then by index; points
            without a cell come last.
        pixels: (P,), flat index of the pixel of each of ``points`` in a (B, N, h, w) image grid.
        cell_starts: (B * H * W + 1,), the points of cell i are ``points[cell_starts[i] : cell_starts[i + 1]]``.
        frustum_shape: (B, N, D, h, w).
        bev_size: (H, W) in cells.
    """

    point_cells: Tensor
    points: Tensor
    pixels: Tensor
    cell_starts: Tensor
    frustum_shape: tuple[int, ...]
    bev_size: tuple[int, int]

    @classmethod
    def from_geometry(cls, locations: Tensor, grid: BEVGrid, z_range: Sequence[float]) -> BEVPoolPlan:
        """Plan from point locations; points outside the grid, outside ``z_range`` or not finite are dropped.

        Nothing is copied to the host, so that a CUDA stream is never waited for.

        Args:
            locations: (B, N, D, h, w, 3) x, y, z of every frustum point, metres, BEV frame.
            grid: BEVGrid (``x_min, y_min, cell_x, cell_y, height, width``) of the output map.
            z_range: (lowest, highest) height kept, metres; the upper end is open.

        Raises:
            ValueError: ``locations`` is not (B, N, D, h, w, 3), or there are 2^31 or more points or cells.
        """
        if locations.dim() != 6 or locations.shape[-1] != 3:
            raise ValueError(f'frustum locations must be (B, N, D, h, w, 3), got {tuple(locations.shape)}')
        frustum_shape = tuple(locations.shape[:-1])
        check_countable(frustum_shape, grid)
        x, y, z = locations.unbind(-1)
        col = torch.floor((x - grid.x_min) / grid.cell_x)
        row = torch.floor((y - grid.y_min) / grid.cell_y)
        # Comparisons run on floats, before the integer cast: they are false for NaN, and no huge value can wrap around.
        kept = (col >= 0) & (col < grid.width) & (row >= 0) & (row < grid.height) & (z >= z_range[0]) & (z < z_range[1])
        cells_per_sample = grid.height * grid.width
        sample = torch.arange(frustum_shape[0], dtype=torch.int32, device=locations.device).view(-1, 1, 1, 1, 1)
        cells = row.int() * grid.width + col.int() + sample * cells_per_sample
        cells = cells.masked_fill_(~kept, -1)
        sort = sort_points if select_backend(cells.device.type) == 'reference' else torch.ops.dualdistill.bev_pool_sort
        points, pixels, cell_starts = sort(cells, cells_per_sample)
        return cls(cells, points, pixels, cell_starts, frustum_shape, (grid.height, grid.width))

    @functools.cached_property
    def cells(self) -> Tensor:
        """(K,) int64, target cell of the first K of ``points``, the ones that have a cell; waits for the device."""
        cells = torch.arange(len(self.cell_starts) - 1, device=self.cell_starts.device)
        return torch.repeat_interleave(cells, self.cell_starts.diff().long())

    def check_inputs(self, depth_prob: Tensor, context: Tensor) -> None:
        """Raise ValueError unless the tensors are the (B, N, D, h, w) and (B, N, C, h, w) this plan was made for."""
        batch, cams, _, height, width = self.frustum_shape
        if tuple(depth_prob.shape) != self.frustum_shape:
            raise ValueError(f'depth_prob is {tuple(depth_prob.shape)}, the plan was made for {self.frustum_shape}')
        expected = (batch, cams, 'C', height, width)
        if context.dim() != 5 or (*context.shape[:2], 'C', *context.shape[3:]) != expected:
            raise ValueError(f'context is {tuple(context.shape)}, the plan was made for {expected}')
        if not (depth_prob.is_floating_point() and context.is_floating_point()):
            raise ValueError(
                f'bev_pool takes floating point tensors, got depth_prob {depth_prob.dtype} and context {context.dtype}'
            )
        if not depth_prob.device == context.device == self.points.device:
            raise ValueError(
                f'depth_prob on {depth_prob.device}, context on {context.device}, plan on {self.points.device}: '
                f'all three must share a device'
            )


def check_countable(frustum_shape: tuple[int, ...], grid: BEVGrid) -> None:
    """Raise ValueError when points or cells of a batch cannot be numbered with int32."""
    points = 1
    for size in frustum_shape:
        points *= size
    cells = frustum_shape[0] * grid.height * grid.width
    if max(points, cells) > _MOST_POINTS:
        raise ValueError(
            f'a frustum of {frustum_shape} holds {points} points over {cells} cells, more than {_MOST_POINTS}: '
            f'make the batch smaller'
        )
