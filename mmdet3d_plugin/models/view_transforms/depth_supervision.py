"""Depth supervision from LiDAR: bins as targets and the binary cross-entropy on them (BEVDepth, arXiv 2206.10092)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .geometry import num_depth_bins


def depth_bin_targets(gt_depth: Tensor, depth_bound: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Bin of every labelled cell, ``floor((depth - first) / step)``.

    Args:
        gt_depth: (...) LiDAR depth of each feature cell, metres; 0 where there is none.
        depth_bound: (first, end, step), metres.

    Returns:
        bins (...) int64 in [0, D) and labelled (...) bool. Cells without depth, with a depth outside
        [first, end) or not finite are not labelled; their bin is 0 and must not be used.
    """
    first, _, step = depth_bound
    bins = torch.floor((gt_depth.float() - first) / step)
    labelled = (bins >= 0) & (bins < num_depth_bins(depth_bound)) & (gt_depth > 0)
    return torch.where(labelled, bins, torch.zeros_like(bins)).long(), labelled


def depth_loss(depth_logits: Tensor, gt_depth: Tensor, depth_bound: Sequence[float]) -> Tensor:
    """Binary cross-entropy between sigmoid(depth_logits) and the one-hot LiDAR bin, in fp32.

    The mean runs over every bin of every cell; cells without a label count as zero, so the loss grows with the share of
    cells LiDAR reaches (method note, section 3).

    Args:
        depth_logits: (B, N, D, h, w).
        gt_depth: (B, N, h, w) metres, 0 = unlabelled.
        depth_bound: (first, end, step), metres.

    Returns:
        scalar; 0, with zero gradients, when no cell is labelled.

    Raises:
        ValueError: the depth map's size is not the logits'.
    """
    batch, cams, num_bins, height, width = depth_logits.shape
    if tuple(gt_depth.shape) != (batch, cams, height, width):
        raise ValueError(
            f'gt_depth is {tuple(gt_depth.shape)} but the depth net predicts {(batch, cams, height, width)}: '
            f"make the depth map's downsample factor equal the image feature stride"
        )
    bins, labelled = depth_bin_targets(gt_depth, depth_bound)
    with torch.autocast(depth_logits.device.type, enabled=False):
        target = F.one_hot(bins, num_bins).permute(0, 1, 4, 2, 3).float()
        loss = F.binary_cross_entropy_with_logits(depth_logits.float(), target, reduction='none')
        return (loss * labelled.unsqueeze(2)).mean()
