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

from dualdistill_runtime.grid import Grid


class BEVGrid(Grid):
    """Metric extent (metres, BEV frame) and size (cells) of a BEV map."""

    def centers(self, device: torch.device | str | None = None, dtype: torch.dtype = torch.float32) -> Tensor:
        """Cell centres as an (H, W, 2) tensor of (x, y), metres."""
        cols = torch.arange(self.width, device=device, dtype=dtype)
        rows = torch.arange(self.height, device=device, dtype=dtype)
        ys, xs = torch.meshgrid(rows, cols, indexing='ij')
        return torch.stack([self.x_min + (xs + 0.5) * self.cell_x, self.y_min + (ys + 0.5) * self.cell_y], dim=-1)


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
