"""Bird's-eye-view maps: where their cells lie, how large they are, and the maps of one batch.

A BEV map is (B, C, H, W): rows run along y, columns along x, row 0 at ``y_min`` and column 0 at ``x_min``, in the
keyframe's LiDAR frame (metres, z up) after the shared BEV augmentation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class BEVGrid:
    """Metric extent (metres, BEV frame) and size (cells) of a BEV map."""

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
    def from_range(cls, point_cloud_range: Sequence[float], height: int, width: int) -> BEVGrid:
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

    def covers_same(self, other: BEVGrid, tolerance: float = 1e-4) -> bool:
        """Whether both cover the same metres, whatever their cells."""
        return all(abs(mine - theirs) <= tolerance for mine, theirs in zip(self.extent, other.extent))

    def centers(self, device: torch.device | str | None = None, dtype: torch.dtype = torch.float32) -> Tensor:
        """Cell centres as an (H, W, 2) tensor of (x, y), metres."""
        cols = torch.arange(self.width, device=device, dtype=dtype)
        rows = torch.arange(self.height, device=device, dtype=dtype)
        ys, xs = torch.meshgrid(rows, cols, indexing='ij')
        return torch.stack([self.x_min + (xs + 0.5) * self.cell_x, self.y_min + (ys + 0.5) * self.cell_y], dim=-1)

    def __str__(self) -> str:
        extent = f'x {self.x_min:g}..{self.x_max:g}, y {self.y_min:g}..{self.y_max:g} m'
        return f'{self.height}x{self.width} cells over {extent}'


@dataclass(frozen=True)
class BEVLevel:
    """Planned size and place of one BEV map, known from the config before any forward pass."""

    channels: int
    grid: BEVGrid

    @classmethod
    def from_range(cls, point_cloud_range: Sequence[float], channels: int, height: int, width: int) -> BEVLevel:
        """Level over a range, see :meth:`BEVGrid.from_range`."""
        return cls(int(channels), BEVGrid.from_range(point_cloud_range, height, width))

    @property
    def height(self) -> int:
        """Rows."""
        return self.grid.height

    @property
    def width(self) -> int:
        """Columns."""
        return self.grid.width

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W), as in ``tensor.shape[1:]``."""
        return (self.channels, *self.grid.size)

    def resized(self, channels: int, height: int | None = None, width: int | None = None) -> BEVLevel:
        """The level that covers the same metres with other channels and, if given, another number of cells."""
        grid = replace(self.grid, height=int(height or self.height), width=int(width or self.width))
        return BEVLevel(int(channels), grid)

    def __str__(self) -> str:
        return f'{self.channels}@{self.height}x{self.width}'


@dataclass
class BEVFeatures:
    """BEV maps of one batch.

    Attributes:
        levels: name -> (B, C, H, W) tensor, fine to coarse. The names are the detector's own.
        head_input: name of the level that the detection head reads.
        private: what one detector hands from ``extract_bev`` to its own ``loss_from_bev`` (depth logits, reference
            points). Nobody else reads it.
    """

    levels: dict[str, Tensor]
    head_input: str
    private: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.level(self.head_input)

    @property
    def head_map(self) -> Tensor:
        """(B, C, H, W), what the detection head reads."""
        return self.levels[self.head_input]

    def level(self, name: str) -> Tensor:
        """The map called ``name``.

        Raises:
            ValueError: unknown name. The message lists the names there are.
        """
        if name not in self.levels:
            raise ValueError(f'unknown BEV level {name!r}: this detector has {", ".join(self.levels)}')
        return self.levels[name]
