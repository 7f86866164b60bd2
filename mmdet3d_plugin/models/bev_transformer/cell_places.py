"""Where the cells of a BEV map look from: the references of deformable attention."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def cell_places(size: Sequence[int], device: torch.device | str | None = None) -> Tensor:
    """(rows * columns, 2) float32 centre (x, y) of each cell as fractions of the map's width and height, row-major.

    Args:
        size: (rows, columns).
    """
    rows, columns = ((torch.arange(count, device=device) + 0.5) / count for count in size)
    y, x = torch.meshgrid(rows, columns, indexing='ij')
    return torch.stack([x, y], dim=-1).view(-1, 2)
