"""The previous frame's BEV map in the current frame: moved exactly, or as BEVFormer was released.

A ``can_bus`` vector has 18 numbers; read here are 0:3, the ego translation since the previous frame (m, global axes),
16, the ego yaw (rad, counter-clockwise), and 17, the yaw since the previous frame (degrees).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ...structures import BEVGrid
from ..view_transforms.temporal_align import align_bev

TRANSLATION, YAW, YAW_CHANGE = slice(0, 3), 16, 17


class Motion(NamedTuple):
    """How a batch moved from its previous frames to its current ones.

    Attributes:
        prev2cur: (B, 4, 4) previous augmented BEV frame -> current one, metres.
        can_bus: (B, 18) of the current frame, or None where nothing reads it.
        bev_aug: (B, 4, 4) BEV augmentation of both frames.
    """

    prev2cur: Tensor
    can_bus: Tensor | None
    bev_aug: Tensor


class PreviousMap(NamedTuple):
    """What temporal attention reads of the previous frame.

    Attributes:
        bev: (B, C, H, W) map, moved as far as the alignment moves maps.
        exists: (B,) bool; a sample without predecessor has any finite numbers in ``bev``.
        shift: (B, 2) float32, where the place (x, y) of the current frame is found in ``bev``, less that place, as
            fractions of the map's width and height.
    """

    bev: Tensor
    exists: Tensor
    shift: Tensor


def warp_exactly(bev: Tensor, exists: Tensor, motion: Motion, grid: BEVGrid) -> PreviousMap:
    """Bilinear resampling by the exact motion in the plane, from LiDAR poses."""
    prev2cur = torch.where(exists.view(-1, 1, 1), motion.prev2cur, torch.eye(4).to(motion.prev2cur))
    return PreviousMap(align_bev(bev, prev2cur, grid), exists, bev.new_zeros(len(bev), 2, dtype=torch.float32))


def turn_and_shift(bev: Tensor, exists: Tensor, motion: Motion, grid: BEVGrid) -> PreviousMap:
    """As released: nearest cells turned about the map's centre, and references shifted by the ego motion.

    Ego axes stand for LiDAR axes turned by 90 degrees, and the LiDAR's place on the car is left out.
    """
    if motion.can_bus is None:
        raise ValueError("alignment='released' moves the previous map by `can_bus`, which is not there")
    plane = motion.bev_aug[:, :2, :2].double()
    moving = exists.double()
    degrees = motion.can_bus[:, YAW_CHANGE].double() * torch.linalg.det(plane).sign() * moving
    metres = ego_shift(motion.can_bus.double()) * moving.view(-1, 1)
    metres = (plane @ metres.unsqueeze(-1)).squeeze(-1)
    extent = metres.new_tensor([grid.x_max - grid.x_min, grid.y_max - grid.y_min])
    return PreviousMap(turn_nearest(bev, degrees), exists, (metres / extent).float())


ALIGNMENTS: dict[str, Callable[..., PreviousMap]] = dict(warp=warp_exactly, released=turn_and_shift)


def turn_nearest(bev: Tensor, degrees: Tensor) -> Tensor:
    """Each cell takes the nearest one of the map at its own place turned counter-clockwise (x right, y up the rows).

    Args:
        bev: (B, C, H, W).
        degrees: (B,).

    Returns:
        (B, C, H, W); zero where the map has no such place. Cells exactly between two take the even one.
    """
    height, width = bev.shape[-2:]
    angle = torch.deg2rad(degrees.double())
    cos, sin = angle.cos().view(-1, 1, 1), angle.sin().view(-1, 1, 1)
    x = torch.arange(width, dtype=torch.float64, device=bev.device).view(1, 1, -1) + 0.5 - width / 2
    y = torch.arange(height, dtype=torch.float64, device=bev.device).view(1, -1, 1) + 0.5 - height / 2
    places = torch.stack([(cos * x - sin * y) * (2 / width), (sin * x + cos * y) * (2 / height)], dim=-1)
    dtype = torch.promote_types(bev.dtype, torch.float32)
    turned = F.grid_sample(bev.to(dtype), places.to(dtype), mode='nearest', align_corners=False)
    return turned.to(bev.dtype)


def ego_shift(can_bus: Tensor) -> Tensor:
    """(B, 18) -> (B, 2) ego translation since the previous frame along LiDAR x (right) and y (forward), metres."""
    dx, dy = can_bus[:, 0], can_bus[:, 1]
    cos, sin = can_bus[:, YAW].cos(), can_bus[:, YAW].sin()
    return torch.stack([sin * dx - cos * dy, cos * dx + sin * dy], dim=-1)
