"""Foreground, false-positive and background cells of a BEV map, with their scales.

Pure functions on tensors: they know boxes, heatmaps and a grid, no networks. Everything is batched and stays on the
device of its inputs. Rules: docs/method.md, "Regions".
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from .box_cells import cells_in_boxes, pad_boxes


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
        device: where the result, and whatever it needs of a whole map, is computed; by default where the boxes are.
            Boxes are sorted into cells where they are, so that boxes on the CPU never make the CPU wait for a GPU.

    Returns:
        Regions
    """
    if (gt_heatmap is None) != (teacher_heatmap is None):
        raise ValueError('the false-positive region needs both gt_heatmap and teacher_heatmap')
    rectangles, valid = pad_boxes(boxes)
    owner = cells_in_boxes(rectangles, valid, grid, cell_anchor)
    if device is not None:
        rectangles, owner = rectangles.to(device), owner.to(device)
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
