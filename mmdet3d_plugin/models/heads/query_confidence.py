"""Scored boxes as a confidence map: one Gaussian peak a box, as tall as its score."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...structures import BEVGrid
from .heatmap_gaussian import draw_gaussians, gaussian_radius

_OVERLAP, _MIN_RADIUS = 0.1, 2  # of CenterPoint's target heatmaps, so that thresholds mean the same
_LONGEST = 30.0  # metres; an untrained query may claim any size
_LOWEST = 0.01  # lower scores are left out


@torch.no_grad()
def draw_boxes(boxes: Sequence[Tensor], scores: Sequence[Tensor], grid: BEVGrid) -> Tensor:
    """Confidence map of scored boxes; where peaks overlap the higher value stays.

    Args:
        boxes: B tensors (N, >=5) x, y, z, l, w, metres; one with its centre outside the grid is left out.
        scores: B tensors (N,) in [0, 1].
        grid: cells of the map.

    Returns:
        (B, H, W) float32.
    """
    sample = torch.cat([torch.full_like(score, index).long() for index, score in enumerate(scores)])
    rows, peaks = torch.cat(list(boxes)).float(), torch.cat(list(scores)).float()
    cell = rows.new_tensor([grid.cell_x, grid.cell_y])
    place = ((rows[:, :2] - rows.new_tensor(grid.extent[:2])) / cell).floor()
    size = rows.new_tensor([grid.width, grid.height])
    keep = ((place >= 0) & (place < size)).all(dim=1) & (peaks > _LOWEST) & rows[:, 3:5].isfinite().all(dim=1)
    cols, lines = place[keep].long().unbind(dim=1)
    length, width = (rows[keep, 3:5].clamp(max=_LONGEST) / cell).unbind(dim=1)
    radius = gaussian_radius(width, length, _OVERLAP).long().clamp(min=_MIN_RADIUS)
    return draw_gaussians(len(boxes), *grid.size, sample[keep], cols, lines, radius, peaks=peaks[keep])
