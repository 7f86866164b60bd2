"""A bird's-eye-view grid: where cells lie, and where a map of another moment is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

_Kind = TypeVar('_Kind', bound='Grid')


@dataclass(frozen=True)
class Grid:
    """Metric extent (metres, BEV frame) and size (cells) of a map; row 0 at ``y_min``, column 0 at ``x_min``.

    Raises:
        ValueError: Extent or size is not positive.
    """

    x_min: float
    y_min: float
    x_max: float
    y_max: float
    height: int
    width: int

    def __post_init__(self) -> None:
        if not (self.x_max > self.x_min and self.y_max > self.y_min and self.height > 0 and self.width > 0):
            raise ValueError(f'a BEV grid needs a positive extent and size, got {self}')

    @classmethod
    def from_range(cls: type[_Kind], point_cloud_range: Sequence[float], height: int, width: int) -> _Kind:
        """Grid of ``height`` x ``width`` cells over (x_min, y_min, z_min, x_max, y_max, z_max), metres."""
        x_min, y_min, _, x_max, y_max, _ = (float(value) for value in point_cloud_range)
        return cls(x_min, y_min, x_max, y_max, int(height), int(width))

    @property
    def cell_x(self) -> float:
        """Length of a cell along x (columns), metres."""
        return (self.x_max - self.x_min) / self.width

    @property
    def cell_y(self) -> float:
        """Length of a cell along y (rows), metres."""
        return (self.y_max - self.y_min) / self.height

    @property
    def cell_area(self) -> float:
        """Area of a cell, square metres."""
        return self.cell_x * self.cell_y

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """(x_min, y_min, x_max, y_max), metres."""
        return (self.x_min, self.y_min, self.x_max, self.y_max)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width), cells."""
        return (self.height, self.width)

    def covers_same(self, other: Grid, tolerance: float = 1e-4) -> bool:
        """Whether both cover the same metres, whatever their cells."""
        return all(abs(mine - theirs) <= tolerance for mine, theirs in zip(self.extent, other.extent))

    def center_points(self) -> np.ndarray:
        """(height * width, 2) float64 x, y of the cells' centres, row-major."""
        xs = self.x_min + (np.arange(self.width) + 0.5) * self.cell_x
        ys = self.y_min + (np.arange(self.height) + 0.5) * self.cell_y
        return np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)

    def __str__(self) -> str:
        extent = f'x {self.x_min:g}..{self.x_max:g}, y {self.y_min:g}..{self.y_max:g} m'
        return f'{self.height}x{self.width} cells over {extent}'


def places_in_previous(previous_to_current: np.ndarray, grid: Grid) -> np.ndarray:
    """Where the previous frame's map shows what lies on the current cells' centres (at z = 0).

    Args:
        previous_to_current: (4, 4) previous frame -> current frame, metres.
        grid: Of both maps.

    Returns:
        (height, width, 2) float32 x, y: -1 and 1 are the outer borders of the map, as ``GridSample`` has it with
        ``align_corners=0``.
    """
    back = np.linalg.inv(np.asarray(previous_to_current, dtype=np.float64))
    moved = grid.center_points() @ back[:2, :2].T + back[:2, 3]
    low, high = np.array([grid.x_min, grid.y_min]), np.array([grid.x_max, grid.y_max])
    return (2 * (moved - low) / (high - low) - 1).reshape(*grid.size, 2).astype(np.float32)


def turned_places(degrees: float, grid: Grid) -> np.ndarray:
    """As :func:`places_in_previous` for a map that turns counter-clockwise about its centre.

    Args:
        degrees: Of the turn (x right, y up the rows).
        grid: Of both maps.
    """
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    x = np.arange(grid.width)[None, :] + 0.5 - grid.width / 2
    y = np.arange(grid.height)[:, None] + 0.5 - grid.height / 2
    places = [(cos * x - sin * y) * (2 / grid.width), (sin * x + cos * y) * (2 / grid.height)]
    return np.stack(places, axis=-1).astype(np.float32)
