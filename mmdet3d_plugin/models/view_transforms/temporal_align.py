"""Bring a previous frame's BEV map into the current frame's."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ...structures import BEVGrid


def align_bev(previous: Tensor, frame2cur: Tensor, grid: BEVGrid) -> Tensor:
    """Resample the previous BEV map on the current frame's cells, exact at cell centres.

    Every current cell centre (at z = 0) is moved back with the inverse of ``frame2cur`` and the previous map is read
    there bilinearly. Places the previous map did not cover become zero.

    Args:
        previous: (B, C, H, W) map in the previous frame's augmented BEV frame.
        frame2cur: (B, 4, 4) previous augmented BEV frame -> current augmented BEV frame, metres.
        grid: BEVGrid of both maps.

    Returns:
        (B, C, H, W) map in the current augmented BEV frame.

    Raises:
        ValueError: the map's size is not the grid's.
    """
    if tuple(previous.shape[-2:]) != (grid.height, grid.width):
        raise ValueError(f'a BEV map of {tuple(previous.shape[-2:])} cells does not fit {grid}')
    centers = grid.centers(device=previous.device, dtype=torch.float64)
    ground = torch.stack([centers[..., 0], centers[..., 1], torch.zeros_like(centers[..., 0])], dim=-1)
    # fp64 keeps mixed precision and TF32 away from ego motion (a 1e-3 relative error is a tenth of a cell at the rim).
    cur2frame = torch.linalg.inv(frame2cur.double())
    moved = ground.view(1, -1, 3) @ cur2frame[:, :2, :3].transpose(1, 2) + cur2frame[:, None, :2, 3]
    low = moved.new_tensor([grid.x_min, grid.y_min])
    high = moved.new_tensor([grid.x_max, grid.y_max])
    # With align_corners=False, -1 and 1 are the outer borders of the first and last cell, as x_min and x_max are.
    sample_at = (2 * (moved - low) / (high - low) - 1).view(-1, grid.height, grid.width, 2)
    dtype = torch.promote_types(previous.dtype, torch.float32)
    aligned = F.grid_sample(previous.to(dtype), sample_at.to(dtype), padding_mode='zeros', align_corners=False)
    return aligned.to(previous.dtype)
