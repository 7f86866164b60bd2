"""What a detector says about its bird's-eye-view maps: the maps themselves, their planned sizes, and where cells lie.

A BEV map is (B, C, H, W): rows run along y, columns along x, row 0 at ``y_min`` and column 0 at ``x_min``, in the
keyframe's LiDAR frame (x forward, y left, z up; metres) after the shared BEV augmentation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import torch
from torch import Tensor

_HEAD = 'head'
_BACKBONE = 'backbone'


@dataclass(frozen=True)
class BEVLevel:
    """Size of one BEV map, known from the config before any forward pass."""

    channels: int
    height: int
    width: int

    @property
    def shape(self):
        """(C, H, W), as in ``tensor.shape[1:]``."""
        return (self.channels, self.height, self.width)

    def __str__(self):
        return f'{self.channels}@{self.height}x{self.width}'


def level_names(num_stages):
    """Names of the levels of a detector with ``num_stages`` BEV backbone stages: 'backbone0', ..., 'head'."""
    return [f'{_BACKBONE}{i}' for i in range(num_stages)] + [_HEAD]


@dataclass
class BEVFeatures:
    """BEV maps of one batch.

    Attributes:
        backbone: one (B, C_i, H_i, W_i) tensor per BEV backbone stage, fine to coarse.
        neck: (B, C, H, W) tensor, the input of the detection head.
        depth_logits: (B, N, D, h, w) depth logits of the current frame's N cameras, or None for a LiDAR model.
    """

    backbone: Sequence[Tensor]
    neck: Tensor
    depth_logits: Optional[Tensor] = None

    def level(self, name):
        """The map called ``name``: 'backbone0', 'backbone1', ... or 'head' (the neck output).

        Raises:
            ValueError: unknown name; the message lists the names there are.
        """
        names = level_names(len(self.backbone))
        if name not in names:
            raise ValueError(f'unknown BEV level {name!r}; this detector has {", ".join(names)}')
        return self.neck if name == _HEAD else self.backbone[names.index(name)]


@dataclass(frozen=True)
class BEVGrid:
    """Metric extent (metres, BEV frame) and size (cells) of a BEV map."""

    x_min: float
    y_min: float
    x_max: float
    y_max: float
    height: int
    width: int

    def __post_init__(self):
        if not (self.x_max > self.x_min and self.y_max > self.y_min and self.height > 0 and self.width > 0):
            raise ValueError(f'a BEV grid needs a positive extent and size, got {self}')

    @classmethod
    def from_range(cls, point_cloud_range, level):
        """Grid of a :class:`BEVLevel` (or anything with ``height`` and ``width``) that covers ``point_cloud_range``.

        Args:
            point_cloud_range: (x_min, y_min, z_min, x_max, y_max, z_max) in metres.
        """
        x_min, y_min, _, x_max, y_max, _ = (float(value) for value in point_cloud_range)
        return cls(x_min, y_min, x_max, y_max, int(level.height), int(level.width))

    @property
    def cell_x(self):
        """Length of a cell along x (columns), metres."""
        return (self.x_max - self.x_min) / self.width

    @property
    def cell_y(self):
        """Length of a cell along y (rows), metres."""
        return (self.y_max - self.y_min) / self.height

    @property
    def cell_area(self):
        """Area of a cell, square metres."""
        return self.cell_x * self.cell_y

    def centers(self, device=None, dtype=torch.float32):
        """Cell centres as an (H, W, 2) tensor of (x, y), metres."""
        cols = torch.arange(self.width, device=device, dtype=dtype)
        rows = torch.arange(self.height, device=device, dtype=dtype)
        ys, xs = torch.meshgrid(rows, cols, indexing='ij')
        return torch.stack([self.x_min + (xs + 0.5) * self.cell_x, self.y_min + (ys + 0.5) * self.cell_y], dim=-1)
