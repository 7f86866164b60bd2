"""Gaussian peaks of centre heatmaps, for all objects of a batch at once."""

import torch
from torch import Tensor


def gaussian_radius(length: Tensor, width: Tensor, min_overlap: float) -> Tensor:
    """Radius (cells) of the heatmap peak of boxes of a given size, CornerNet's three corner cases.

    Uses the released ``(b + sqrt(b^2 - 4ac)) / 2``, without the division by ``a``, that CenterPoint inherited.

    Args:
        length, width: (N,) box sizes in cells.
        min_overlap: IoU that a box displaced by the radius still keeps.

    Returns:
        (N,) float radii.
    """
    perimeter, area = length + width, length * width
    cases = (
        (1, perimeter, area * (1 - min_overlap) / (1 + min_overlap)),
        (4, 2 * perimeter, (1 - min_overlap) * area),
        (4 * min_overlap, -2 * min_overlap * perimeter, (min_overlap - 1) * area),
    )
    roots = [(b + torch.sqrt(b**2 - 4 * a * c)) / 2 for a, b, c in cases]
    return torch.stack(roots).amin(dim=0)


def draw_gaussians(
    num_maps: int, height: int, width: int, map_index: Tensor, cols: Tensor, rows: Tensor, radii: Tensor
) -> Tensor:
    """Draw one Gaussian peak per object; where peaks overlap the higher value stays.

    A peak is 1 at its cell, has sigma (2r+1)/6 and is cut to the (2r+1)-cell square around it.

    Args:
        num_maps: M, number of maps.
        height, width: size of a map, cells.
        map_index, cols, rows, radii: (N,) int64, one entry per object; ``rows`` and ``cols`` lie inside the map.

    Returns:
        (M, H, W) float32.
    """
    left, top = torch.minimum(cols, radii), torch.minimum(rows, radii)
    spans_x = left + torch.minimum(width - cols, radii + 1)
    areas = spans_x * (top + torch.minimum(height - rows, radii + 1))
    starts = areas.cumsum(0) - areas
    owner = torch.repeat_interleave(torch.arange(len(cols), device=cols.device), areas)
    cell = torch.arange(len(owner), device=cols.device) - starts[owner]
    dy = torch.div(cell, spans_x[owner], rounding_mode='floor') - top[owner]
    dx = cell % spans_x[owner] - left[owner]
    sigma = (2 * radii + 1).double() / 6
    values = torch.exp(-(dx**2 + dy**2) / (2 * sigma**2)[owner]).float()
    flat = (map_index[owner] * height + rows[owner] + dy) * width + cols[owner] + dx
    maps = values.new_zeros(num_maps * height * width)
    return maps.scatter_reduce(0, flat, values, 'amax').view(num_maps, height, width)
