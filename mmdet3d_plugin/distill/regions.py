"""Foreground, false-positive and background cells of a BEV map, with their scales.

Pure functions on tensors: they know boxes, heatmaps and a grid, no networks. Everything is batched and stays on the
device of its inputs. Rules: docs/method.md, "Regions".
"""

from dataclasses import dataclass

import torch
from torch import Tensor

CELL_ANCHORS = ('center', 'corner')


@dataclass
class Regions:
    """Partition of every cell of a batch of BEV maps into foreground, false positives and background.

    Attributes:
        fg: (B, H, W) bool, the cell lies inside a ground-truth box seen from above.
        fp: (B, H, W) bool, not foreground, no target there, yet the teacher fires.
        bg: (B, H, W) bool, every other cell.
        fg_scale: (B, H, W) float32, 1 / sqrt(box area in cells) of the box that owns the cell, 0 outside boxes.
        fp_scale: (B,) float32, 1 / number of false-positive cells, 0 where there are none.
        bg_scale: (B,) float32, 1 / number of background cells, 0 where there are none.
        owner: (B, H, W) int64, index of the box that owns the cell within its sample, -1 outside boxes.
    """

    fg: Tensor
    fp: Tensor
    bg: Tensor
    fg_scale: Tensor
    fp_scale: Tensor
    bg_scale: Tensor
    owner: Tensor

    def combined_scale(self):
        """Scale of foreground and background cells, max(fg_scale, bg_scale) ('combine_gt'), (B, H, W) float32."""
        return torch.maximum(self.fg_scale, self.bg_scale[:, None, None])

    def scaled_masks(self):
        """Mask times scale of each region: {'fg', 'fp', 'bg'} -> (B, H, W) float32."""
        combined = self.combined_scale()
        return dict(
            fg=self.fg * combined,
            fp=self.fp * self.fp_scale[:, None, None],
            bg=self.bg * combined,
        )

    def masks(self):
        """The plain masks as float32: {'fg', 'fp', 'bg'} -> (B, H, W)."""
        return dict(fg=self.fg.float(), fp=self.fp.float(), bg=self.bg.float())


def pad_boxes(boxes, device=None):
    """Stack per-sample boxes into one padded batch of BEV rectangles.

    Args:
        boxes (list): per sample a :class:`LiDARInstance3DBoxes` or an (M_i, >=7) tensor (x, y, z, l, w, h, yaw, ...),
            metres and radians.
        device: device of the result; by default the boxes' own.

    Returns:
        tuple: (B, M, 5) float32 rectangles (x, y, l, w, yaw) with M = max(1, max M_i), and a (B, M) bool mask of the
        real ones. Boxes without a positive length and width are marked as not real: they cover no cell.
    """
    tensors = [getattr(sample, 'tensor', sample) for sample in boxes]
    if device is None:
        device = tensors[0].device
    capacity = max(1, max(len(tensor) for tensor in tensors))
    rectangles = torch.zeros(len(tensors), capacity, 5, device=device)
    valid = torch.zeros(len(tensors), capacity, dtype=torch.bool, device=device)
    for i, tensor in enumerate(tensors):
        if len(tensor):
            rectangles[i, : len(tensor)] = tensor[:, [0, 1, 3, 4, 6]].to(device=device, dtype=torch.float32)
            valid[i, : len(tensor)] = True
    valid &= (rectangles[..., 2] > 0) & (rectangles[..., 3] > 0)
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


def cells_in_boxes(rectangles, valid, grid, cell_anchor='center'):
    """Which box owns each cell. Where boxes overlap, the first one wins.

    Args:
        rectangles: (B, M, 5) float32 (x, y, l, w, yaw), metres and radians, yaw counter-clockwise from x.
        valid: (B, M) bool.

    Returns:
        (B, H, W) int64 index of the owning box, -1 where there is none. Edges belong to the box.
    """
    xs, ys = cell_coordinates(grid, cell_anchor, rectangles.device)
    x, y, length, width, yaw = (value[..., None] for value in rectangles.unbind(-1))  # (B, M, 1) each
    cos, sin = yaw.cos(), yaw.sin()
    dx, dy = xs - x, ys - y  # (B, M, W), (B, M, H)
    along = (dx * cos).unsqueeze(-2) + (dy * sin).unsqueeze(-1)  # (B, M, H, W), in the box's own axes
    across = (dy * cos).unsqueeze(-1) - (dx * sin).unsqueeze(-2)
    inside = (along.abs_() <= length[..., None] / 2) & (across.abs_() <= width[..., None] / 2)
    inside &= valid[..., None, None]
    # argmax returns the first of equal maxima, which is the first box that covers the cell
    first = inside.to(torch.uint8).argmax(dim=1)
    return torch.where(inside.any(dim=1), first, -1)


def false_positive_cells(fg, gt_heatmap, teacher_heatmap, threshold=0.1):
    """Cells where the teacher fires and nothing is there.

    Args:
        fg: (B, H, W) bool foreground.
        gt_heatmap: (B, H, W) float, target heatmap, maximum over classes.
        teacher_heatmap: (B, H, W) float, teacher's heatmap after the sigmoid, maximum over classes.

    Returns:
        (B, H, W) bool.
    """
    for name, heatmap in (('ground-truth', gt_heatmap), ('teacher', teacher_heatmap)):
        if heatmap.shape != fg.shape:
            raise ValueError(f'{name} heatmap is {tuple(heatmap.shape)}, the level needs {tuple(fg.shape)}')
    return ~fg & (gt_heatmap < threshold) & (teacher_heatmap > threshold)


def _inverse_count(mask):
    """1 / number of set cells per sample, 0 where none: (B, H, W) bool -> (B,) float32."""
    count = mask.flatten(1).sum(dim=1).float()
    return torch.where(count > 0, 1.0 / count.clamp(min=1.0), torch.zeros_like(count))


def build_regions(
    boxes, grid, *, cell_anchor='center', gt_heatmap=None, teacher_heatmap=None, fp_threshold=0.1, device=None
):
    """Regions of one level.

    Args:
        boxes (list): per sample boxes, see :func:`pad_boxes`.
        grid (BEVGrid): extent and size of the level.
        cell_anchor (str): 'center' or 'corner' (the released code's choice).
        gt_heatmap, teacher_heatmap: (B, H, W), see :func:`false_positive_cells`; leave out for a level without
            false-positive region.
        fp_threshold (float): heatmap value that separates something from nothing.
        device: where to compute; by default where the boxes are.

    Returns:
        Regions
    """
    if (gt_heatmap is None) != (teacher_heatmap is None):
        raise ValueError('the false-positive region needs both gt_heatmap and teacher_heatmap')
    rectangles, valid = pad_boxes(boxes, device)
    owner = cells_in_boxes(rectangles, valid, grid, cell_anchor)
    fg = owner >= 0
    if gt_heatmap is None:
        fp = torch.zeros_like(fg)
    else:
        fp = false_positive_cells(fg, gt_heatmap, teacher_heatmap, fp_threshold)
    bg = ~fg & ~fp

    area = (rectangles[..., 2] * rectangles[..., 3] / grid.cell_area).clamp(min=torch.finfo(torch.float32).tiny)
    per_box = area.rsqrt()
    per_cell = per_box.gather(1, owner.clamp(min=0).flatten(1)).view_as(owner)
    return Regions(
        fg=fg,
        fp=fp,
        bg=bg,
        fg_scale=per_cell * fg,
        fp_scale=_inverse_count(fp),
        bg_scale=_inverse_count(bg),
        owner=owner,
    )
