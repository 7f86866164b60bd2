"""Foreground, false-positive and background cells of a BEV map, with their scales.

Pure functions on tensors: they know boxes, confidences and a grid, no networks. Everything is batched and stays on the
device of its inputs. Rules: docs/method.md, "Regions".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from mmdet3d.core.bbox import LiDARInstance3DBoxes
from torch import Tensor

from ..structures import BEVGrid

CELL_ANCHORS = ('center', 'corner')
FP_OVERLAPS = ('none', 'released')


@dataclass(frozen=True)
class RegionRules:
    """How the cells of a level are divided, from its ``regions`` entry.

    Attributes:
        cell_anchor: point of a cell that must lie in a box, 'center', or 'corner' as in the released code.
        fp_threshold: confidence that separates something from nothing in the false-positive region.
        fp_overlap: 'none', every cell belongs to one region; or 'released', as in the released code: a cell can be
            foreground and false positive, and the count behind ``bg_scale`` has the false positives in it.
    """

    cell_anchor: str = 'center'
    fp_threshold: float = 0.1
    fp_overlap: str = 'none'

    def __post_init__(self) -> None:
        if self.cell_anchor not in CELL_ANCHORS:
            raise ValueError(f'cell_anchor must be one of {CELL_ANCHORS}, got {self.cell_anchor!r}')
        if not 0 < self.fp_threshold < 1:
            raise ValueError(f'fp_threshold must lie between 0 and 1, got {self.fp_threshold}')
        if self.fp_overlap not in FP_OVERLAPS:
            raise ValueError(f'fp_overlap must be one of {FP_OVERLAPS}, got {self.fp_overlap!r}')


@dataclass
class Regions:
    """Foreground, false positives and background of a batch of BEV maps: a partition, unless ``fp_overlap`` says other.

    Attributes:
        fg: (B, H, W) bool, the cell lies inside a ground-truth box seen from above.
        fp: (B, H, W) bool, not foreground, no target there, yet the teacher fires.
        bg: (B, H, W) bool, neither foreground nor false positive.
        fg_scale: (B, H, W) float32, 1 / sqrt(box area in cells) of the box that owns the cell, times its weight where
            boxes have one; 0 outside boxes.
        fp_scale: (B,) float32, 1 / number of false-positive cells, 0 where there are none.
        bg_scale: (B,) float32, 1 / number of background cells, see ``fp_overlap``; 0 where there are none.
        owner: (B, H, W) int64, index of the box that owns the cell within its sample, -1 outside boxes.
    """

    fg: Tensor
    fp: Tensor
    bg: Tensor
    fg_scale: Tensor
    fp_scale: Tensor
    bg_scale: Tensor
    owner: Tensor

    def combined_scale(self) -> Tensor:
        """Scale of foreground and background cells, max(fg_scale, bg_scale) ('combine_gt'), (B, H, W) float32."""
        return torch.maximum(self.fg_scale, self.bg_scale[:, None, None])

    def scaled_masks(self) -> dict[str, Tensor]:
        """Mask times scale of each region: {'fg', 'fp', 'bg'} -> (B, H, W) float32."""
        combined = self.combined_scale()
        return dict(
            fg=self.fg * combined,
            fp=self.fp * self.fp_scale[:, None, None],
            bg=self.bg * combined,
        )

    def masks(self) -> dict[str, Tensor]:
        """The plain masks as float32: {'fg', 'fp', 'bg'} -> (B, H, W)."""
        return dict(fg=self.fg.float(), fp=self.fp.float(), bg=self.bg.float())


def false_positive_cells(fg: Tensor, target: Tensor, teacher: Tensor, rules: RegionRules = RegionRules()) -> Tensor:
    """Cells where the teacher fires and nothing is there.

    Args:
        fg: (B, H, W) bool foreground, left out unless ``rules`` let regions overlap.
        target: (B, H, W) float, confidence that a perfect teacher would have, best class.
        teacher: (B, H, W) float, the teacher's confidence, best class.

    Returns:
        (B, H, W) bool.
    """
    for name, confidence in (('target', target), ('teacher', teacher)):
        if confidence.shape != fg.shape:
            raise ValueError(f'{name} confidence is {tuple(confidence.shape)}, the level needs {tuple(fg.shape)}')
    fires = (target < rules.fp_threshold) & (teacher > rules.fp_threshold)
    return fires if rules.fp_overlap == 'released' else ~fg & fires


def _inverse_count(mask):
    """1 / number of set cells per sample, 0 where none: (B, H, W) bool -> (B,) float32."""
    count = mask.flatten(1).sum(dim=1).float()
    return torch.where(count > 0, 1.0 / count.clamp(min=1.0), torch.zeros_like(count))


def build_regions(
    boxes: Sequence[LiDARInstance3DBoxes | Tensor],
    grid: BEVGrid,
    rules: RegionRules = RegionRules(),
    *,
    target: Tensor | None = None,
    teacher: Tensor | None = None,
    device: torch.device | str | None = None,
    weights: Sequence[Tensor] | None = None,
) -> Regions:
    """Regions of one level.

    Args:
        boxes: per sample boxes, see :func:`pad_boxes`.
        grid: extent and size of the level.
        rules: the level's.
        target, teacher: (B, H, W) confidences, see :func:`false_positive_cells`; leave both out for a level without
            false-positive region.
        device: where the result, and whatever it needs of a whole map, is computed; by default where the boxes are.
            Boxes are sorted into cells where they are, so that boxes on the CPU never make the CPU wait for a GPU.
        weights: per sample (M_i,) float32 factors of the boxes' scales; None for boxes that count alike.
    """
    if (target is None) != (teacher is None):
        raise ValueError('the false-positive region needs the confidences of both target and teacher')
    rectangles, valid = pad_boxes(boxes)
    owner = cells_in_boxes(rectangles, valid, grid, rules.cell_anchor)
    if device is not None:
        rectangles, owner = rectangles.to(device), owner.to(device)
    fg = owner >= 0
    if target is None or teacher is None:
        fp = torch.zeros_like(fg)
    else:
        fp = false_positive_cells(fg, target, teacher, rules)
    bg = ~fg & ~fp

    per_cell = _box_scales(rectangles, grid, weights).gather(1, owner.clamp(min=0).flatten(1)).view_as(owner)
    return Regions(
        fg=fg,
        fp=fp,
        bg=bg,
        fg_scale=per_cell * fg,
        fp_scale=_inverse_count(fp),
        bg_scale=_inverse_count(~fg if rules.fp_overlap == 'released' else bg),
        owner=owner,
    )


def _box_scales(rectangles, grid, weights):
    """1 / sqrt(area in cells) of each box times its weight: (B, M, 5) -> (B, M) float32."""
    area = (rectangles[..., 2] * rectangles[..., 3] / grid.cell_area).clamp(min=torch.finfo(torch.float32).tiny)
    scales = area.rsqrt()
    for row, weight in zip(scales, weights or ()):
        row[: len(weight)] *= weight.to(row)
    return scales


def pad_boxes(boxes: Sequence[LiDARInstance3DBoxes | Tensor]) -> tuple[Tensor, Tensor]:
    """Stack per-sample boxes into one padded batch of BEV rectangles.

    Args:
        boxes: per sample a :class:`LiDARInstance3DBoxes` or an (M_i, >=7) tensor (x, y, z, l, w, h, yaw, ...),
            metres and radians.

    Returns:
        (B, M, 5) float32 rectangles (x, y, l, w, yaw) with M = max(1, max M_i), and a (B, M) bool mask of the
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


def cell_coordinates(
    grid: BEVGrid, cell_anchor: str, device: torch.device | str | None = None
) -> tuple[Tensor, Tensor]:
    """Where cells are taken to lie: x of each column (W,) and y of each row (H,), metres.

    Args:
        grid: extent and size of the map.
        cell_anchor: 'center', or 'corner' for the corner with the smallest x and y.
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


def cells_in_boxes(rectangles: Tensor, valid: Tensor, grid: BEVGrid, cell_anchor: str = 'center') -> Tensor:
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
