"""Which camera sees which BEV cell, and where (BEVFormer, arXiv 2203.17270): what its attention gathers by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .grid import Grid
from .rig import Rig

_NEAREST = 1e-5  # metres in front of the camera


class PillarPlan(NamedTuple):
    """The K pairs of a camera and a cell it sees, in order of cameras.

    Attributes:
        pair_image: (K,) int64 camera.
        pair_cell: (K,) int64 cell, row-major.
        pair_points: (K, Z, 2) float32, the cell's pillar points as fractions of the image's width and height.
        cell_share: (cells, 1) float32, 1 / the number of cameras that see a cell, 1 where none does.
    """

    pair_image: np.ndarray
    pair_cell: np.ndarray
    pair_points: np.ndarray
    cell_share: np.ndarray


@dataclass(frozen=True)
class Pillars:
    """Points above the cells of a map, as ``BEVFormerEncoder`` of the package has them.

    Attributes:
        grid: Of the map.
        z_range: (z_min, z_max), metres; the lowest and highest point lie half a metre inside.
        count: Points a pillar, Z.
        image_size: (H, W) of the network's images, pixels.
    """

    grid: Grid
    z_range: Sequence[float]
    count: int
    image_size: Sequence[int]

    def steps(self, cameras: int) -> dict[str, int]:
        """What the indices of a plan grow by from one sample of a batch to the next, see :func:`stack_plans`."""
        return dict(pair_image=cameras, pair_cell=self.grid.height * self.grid.width)

    def points(self) -> np.ndarray:
        """(cells, Z, 3) float64 x, y, z, metres."""
        heights = np.linspace(self.z_range[0] + 0.5, self.z_range[1] - 0.5, self.count)
        centers = np.repeat(self.grid.center_points()[:, None], self.count, axis=1)
        return np.concatenate([centers, np.broadcast_to(heights[:, None], (*centers.shape[:2], 1))], axis=-1)

    def plan(self, rig: Rig) -> PillarPlan:
        """The plan of one moment; a camera that sees no cell takes no part in it."""
        height, width = self.image_size
        points, projection = self.points(), rig.projection()
        projected = points.reshape(-1, 3) @ projection[..., :3].swapaxes(1, 2) + projection[:, None, :, 3]
        depth = projected[..., 2:]
        places = projected[..., :2] / np.maximum(depth, _NEAREST) / np.array([width, height])
        seen = (depth[..., 0] > _NEAREST) & ((places > 0) & (places < 1)).all(axis=-1)
        shape = (len(projection), *points.shape[:2])
        hit = seen.reshape(shape).any(axis=-1)
        camera, cell = np.nonzero(hit)
        return PillarPlan(
            pair_image=camera,
            pair_cell=cell,
            pair_points=places.reshape(*shape, 2)[camera, cell].astype(np.float32),
            cell_share=(1 / np.maximum(hit.sum(axis=0), 1))[:, None].astype(np.float32),
        )
