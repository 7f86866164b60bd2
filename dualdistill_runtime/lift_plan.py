"""Which point of which camera's frustum feeds which BEV cell (lift-splat, arXiv 2008.05711)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .grid import Grid
from .rig import Rig


class LiftPlan(NamedTuple):
    """The K frustum points that lie in the map, int64.

    Attributes:
        points: (K,) flat index in the (N, D, h, w) depth probabilities.
        pixels: (K,) flat index in the (N, h, w) context features.
        cells: (K,) flat index in the (height, width) map.
    """

    points: np.ndarray
    pixels: np.ndarray
    cells: np.ndarray


@dataclass(frozen=True)
class Frustum:
    """How far along which ray a network looks, as ``LSSViewTransform`` of the package has it.

    Attributes:
        image_size: (H, W) of the network's images, pixels.
        stride: Pixels per feature cell.
        depth_bound: (first, end, step) of the depth bins, metres.
        anchor: 'center' or 'corner': where in its cell and bin a point lies.
        grid: Of the map.
        z_range: (lowest, highest) height kept, metres; the upper end is open.
    """

    image_size: tuple[int, int]
    stride: int
    depth_bound: Sequence[float]
    anchor: str
    grid: Grid
    z_range: Sequence[float]

    def rays(self) -> np.ndarray:
        """(h * w, 3) float64 homogeneous pixels of the feature cells, row-major."""
        height, width = self.image_size
        rows, columns = height // self.stride, width // self.stride
        if self.anchor == 'corner':
            us, vs = np.linspace(0, width - 1, columns), np.linspace(0, height - 1, rows)
        else:
            us, vs = ((np.arange(count) + 0.5) * self.stride - 0.5 for count in (columns, rows))
        us, vs = np.meshgrid(us, vs)
        return np.stack([us, vs, np.ones_like(us)], axis=-1).reshape(-1, 3)

    def depths(self) -> np.ndarray:
        """(D,) float64 metres along the optical axis."""
        first, end, step = self.depth_bound
        near = first + step * np.arange(round((end - first) / step))
        return near if self.anchor == 'corner' else near + step / 2

    def steps(self, cameras: int) -> dict[str, int]:
        """What the indices of a plan grow by from one sample of a batch to the next, see :func:`stack_plans`."""
        pixels = cameras * len(self.rays())
        return dict(points=pixels * len(self.depths()), pixels=pixels, cells=self.grid.height * self.grid.width)

    def locate(self, rig: Rig) -> np.ndarray:
        """(N, D, h * w, 3) float32 x, y, z of every point in the LiDAR frame, metres."""
        to_rays = rig.cam2lidar[:, :3, :3] @ np.linalg.inv(rig.post_rots @ rig.intrins)
        rays = (self.rays() - rig.post_trans[:, None]) @ to_rays.swapaxes(1, 2)
        origin = rig.cam2lidar[:, None, None, :3, 3].astype(np.float32)
        # As in training: rays in float64, points in float32, so that a point falls into the same cell.
        return self.depths().astype(np.float32)[:, None, None] * rays.astype(np.float32)[:, None] + origin

    def plan(self, rig: Rig) -> LiftPlan:
        """The plan of one moment; a camera that sees no cell takes no part in it."""
        grid, (x, y, z) = self.grid, np.moveaxis(self.locate(rig), -1, 0)
        column = np.floor((x - np.float32(grid.x_min)) / np.float32(grid.cell_x))
        row = np.floor((y - np.float32(grid.y_min)) / np.float32(grid.cell_y))
        kept = (column >= 0) & (column < grid.width) & (row >= 0) & (row < grid.height)
        kept &= (z >= self.z_range[0]) & (z < self.z_range[1])
        camera, depth, pixel = np.nonzero(kept)
        _, bins, pixels = kept.shape
        cells = row[kept].astype(np.int64) * grid.width + column[kept].astype(np.int64)
        return LiftPlan((camera * bins + depth) * pixels + pixel, camera * pixels + pixel, cells)
