"""Which frustum point feeds which BEV cell: computed once from geometry, shared by every BEV pooling back end."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class BEVPoolPlan:
    """Scatter plan of P kept frustum points, sorted by target cell so that a kernel can reduce run by run.

    Attributes:
        cells: (P,) int64, flat target cell ``(b * H + row) * W + col``, ascending.
        points: (P,) int64, flat index of the point in a (B, N, D, h, w) depth tensor.
        pixels: (P,) int64, flat index of the point's pixel in a (B, N, h, w) image grid.
        frustum_shape: (B, N, D, h, w).
        bev_size: (H, W) in cells.
    """

    cells: Tensor
    points: Tensor
    pixels: Tensor
    frustum_shape: tuple[int, int, int, int, int]
    bev_size: tuple[int, int]

    @classmethod
    def from_geometry(cls, locations, grid, z_range):
        """Plan from point locations; points outside the grid, outside ``z_range`` or not finite are dropped.

        Args:
            locations: (B, N, D, h, w, 3) x, y, z of every frustum point, metres, BEV frame.
            grid: BEVGrid (``x_min, y_min, cell_x, cell_y, height, width``) of the output map.
            z_range: (lowest, highest) height kept, metres; the upper end is open.

        Raises:
            ValueError: ``locations`` is not (B, N, D, h, w, 3).
        """
        if locations.dim() != 6 or locations.shape[-1] != 3:
            raise ValueError(f'frustum locations must be (B, N, D, h, w, 3), got {tuple(locations.shape)}')
        batch, cams, depths, height, width = frustum_shape = tuple(locations.shape[:-1])
        col = torch.floor((locations[..., 0] - grid.x_min) / grid.cell_x)
        row = torch.floor((locations[..., 1] - grid.y_min) / grid.cell_y)
        z = locations[..., 2]
        # Comparisons run on floats, before the integer cast: they are false for NaN, and no huge value can wrap around.
        kept = (col >= 0) & (col < grid.width) & (row >= 0) & (row < grid.height) & (z >= z_range[0]) & (z < z_range[1])
        points = kept.flatten().nonzero().squeeze(1)
        sample = points // (cams * depths * height * width)
        cells = (sample * grid.height + row.flatten()[points].long()) * grid.width + col.flatten()[points].long()
        cells, order = torch.sort(cells, stable=True)
        points = points[order]
        camera = points // (depths * height * width)
        pixels = camera * (height * width) + points % (height * width)
        return cls(cells, points, pixels, frustum_shape, (grid.height, grid.width))

    def check_inputs(self, depth_prob, context):
        """Raise ValueError unless the tensors are the (B, N, D, h, w) and (B, N, C, h, w) this plan was made for."""
        batch, cams, depths, height, width = self.frustum_shape
        if tuple(depth_prob.shape) != self.frustum_shape:
            raise ValueError(f'depth_prob is {tuple(depth_prob.shape)}, the plan was made for {self.frustum_shape}')
        expected = (batch, cams, 'C', height, width)
        if context.dim() != 5 or (*context.shape[:2], 'C', *context.shape[3:]) != expected:
            raise ValueError(f'context is {tuple(context.shape)}, the plan was made for {expected}')
        if not depth_prob.device == context.device == self.cells.device:
            raise ValueError(
                f'depth_prob on {depth_prob.device}, context on {context.device}, plan on {self.cells.device}: '
                f'all three must share a device'
            )
