"""Boxes seen from above on the cells of a BEV map."""

import torch

CELL_ANCHORS = ('center', 'corner')


def pad_boxes(boxes):
    """Stack per-sample boxes into one padded batch of BEV rectangles.

    Args:
        boxes (list): per sample a :class:`LiDARInstance3DBoxes` or an (M_i, >=7) tensor (x, y, z, l, w, h, yaw, ...),
            metres and radians.

    Returns:
        tuple: (B, M, 5) float32 rectangles (x, y, l, w, yaw) with M = max(1, max M_i), and a (B, M) bool mask of the
        real ones. Boxes without a positive length and width, or not finite, are marked as not real: they cover no
        cell.
    """
    tensors = [getattr(sample, 'tensor', sample) for sample in boxes]
    device = tensors[0].device
    capacity = max(1, max(len(tensor) for tensor in tensors))
    rectangles = torch.zeros(len(tensors), capacity, 5, device=device)
    valid = torch.zeros(len(tensors), capacity, dtype=torch.bool, device=device)
    for i, tensor in enumerate(tensors):
        if len(tensor):
            rectangles[i, : len(tensor)] = tensor[:, [0, 1, 3, 4, 6]].to(device=device, dtype=torch.float32)
            valid[i, : len(tensor)] = True
    valid &= (rectangles[..., 2:4] > 0).all(dim=-1) & rectangles.isfinite().all(dim=-1)
    return rectangles, valid


def cell_coordinates(grid, cell_anchor, device=None):
    """Where cells are taken to lie: x of each column (W,) and y of each row (H,), metres.

    Args:
        grid (BEVGrid): extent and size of the map.
        cell_anchor (str): 'center', or 'corner' for the corner with the smallest x and y.
    """
    if cell_anchor not in CELL_ANCHORS:
        raise ValueError(f'cell_anchor must be one of {CELL_ANCHORS}, got {cell_anchor!r}')
    offset = 0.5 if cell_anchor == 'center' else 0.0
    xs = grid.x_min + (torch.arange(grid.width, device=device, dtype=torch.float32) + offset) * grid.cell_x
    ys = grid.y_min + (torch.arange(grid.height, device=device, dtype=torch.float32) + offset) * grid.cell_y
    return xs, ys


def _span(centre, reach, first, step, size):
    """First index and number of the cells of one axis that may lie within ``reach`` of ``centre``, each (K,) int64.

    Args:
        centre, reach: (K,) metres.
        first, step, size: coordinate of cell 0 and distance between cells, metres; number of cells.
    """
    low = torch.floor((centre - reach - first) / step).clamp(0, size).long()
    high = torch.ceil((centre + reach - first) / step).clamp(-1, size - 1).long()
    return low, (high - low + 1).clamp(min=0)


def cells_in_boxes(rectangles, valid, grid, cell_anchor='center'):
    """Which box owns each cell. Where boxes overlap, the first one wins.

    Only the cells around each box are looked at, not every pair of box and cell.

    Args:
        rectangles: (B, M, 5) float32 (x, y, l, w, yaw), metres and radians, yaw counter-clockwise from x.
        valid: (B, M) bool.

    Returns:
        (B, H, W) int64 index of the owning box, -1 where there is none. Edges belong to the box.
    """
    batch, capacity = valid.shape
    xs, ys = cell_coordinates(grid, cell_anchor, rectangles.device)
    sample, rank = valid.nonzero().unbind(1)
    x, y, length, width, yaw = rectangles[sample, rank].unbind(1)  # (K,) each
    cos, sin = yaw.cos(), yaw.sin()
    reach_x = (length * cos.abs() + width * sin.abs()) / 2
    reach_y = (length * sin.abs() + width * cos.abs()) / 2
    first_col, cols = _span(x, reach_x, xs[0], grid.cell_x, grid.width)
    first_row, rows = _span(y, reach_y, ys[0], grid.cell_y, grid.height)

    counts = cols * rows
    box = torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)
    step = torch.arange(len(box), device=counts.device) - (counts.cumsum(0) - counts)[box]
    col = first_col[box] + step % cols[box]
    row = first_row[box] + torch.div(step, cols[box], rounding_mode='floor')
    dx, dy, cos, sin = xs[col] - x[box], ys[row] - y[box], cos[box], sin[box]
    inside = (dx * cos + dy * sin).abs() <= length[box] / 2  # along the box's own axes
    inside &= (dy * cos - dx * sin).abs() <= width[box] / 2
    box, cell = box[inside], ((sample[box] * grid.height + row) * grid.width + col)[inside]
    owner = torch.full((batch * grid.height * grid.width,), capacity, device=box.device)
    owner = owner.scatter_reduce(0, cell, rank[box], 'amin').view(batch, grid.height, grid.width)
    return owner.masked_fill_(owner == capacity, -1)
