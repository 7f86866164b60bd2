"""A bird's-eye-view grid as numbers: where cells lie, and where a map of another moment is read."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Grid(NamedTuple):
    """Metric extent (metres, BEV frame) and size (cells) of a map; row 0 at ``y_min``, column 0 at ``x_min``."""

    x_min: float
    y_min: float
    x_max: float
    y_max: float
    height: int
    width: int

    @property
    def cell_x(self) -> float:
        """Length of a cell along x, metres."""
        return (self.x_max - self.x_min) / self.width

    @property
    def cell_y(self) -> float:
        """Length of a cell along y, metres."""
        return (self.y_max - self.y_min) / self.height

    def centers(self) -> np.ndarray:
        """(height * width, 2) float64 x, y of the cells' centres, row-major."""
        xs = self.x_min + (np.arange(self.width) + 0.5) * self.cell_x
        ys = self.y_min + (np.arange(self.height) + 0.5) * self.cell_y
        return np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)


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
    moved = grid.centers() @ back[:2, :2].T + back[:2, 3]
    low, high = np.array([grid.x_min, grid.y_min]), np.array([grid.x_max, grid.y_max])
    return (2 * (moved - low) / (high - low) - 1).reshape(grid.height, grid.width, 2).astype(np.float32)


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
