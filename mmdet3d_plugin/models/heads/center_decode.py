"""From CenterPoint's dense maps to boxes: peaks, then non-maximum suppression per task."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmcv.ops import nms_rotated
from mmdet3d.core.bbox.coders import CenterPointBBoxCoder
from torch import Tensor

TEST_KEYS = frozenset(
    [
        'score_threshold',
        'post_center_limit_range',
        'nms_type',
        'nms_thr',
        'nms_rescale_factor',
        'min_radius',
        'pre_max_size',
        'post_max_size',
    ]
)


def decode_peaks(
    logits: Tensor, maps: Mapping[str, Tensor], coder: CenterPointBBoxCoder, norm_bbox: bool, min_logit: float
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Boxes at the highest cells of one task's heatmap, of :func:`peak_boxes` those that count.

    Args:
        logits, maps, coder, norm_bbox: see :func:`peak_boxes`.
        min_logit: keep logits above it, see :func:`logit_threshold`.

    Returns:
        per sample ((N, 7 or 9) boxes with gravity centre, (N,) logits, (N,) int64 class in task), best first; centres
        lie in the coder's ``post_center_range``.
    """
    boxes, logits, labels = peak_boxes(logits, maps, coder, norm_bbox)
    keep = inside(boxes, coder.post_center_range) & (logits > min_logit)
    return [(boxes[i][keep[i]], logits[i][keep[i]], labels[i][keep[i]]) for i in range(len(boxes))]


def peak_boxes(
    logits: Tensor, maps: Mapping[str, Tensor], coder: CenterPointBBoxCoder, norm_bbox: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes at the K highest cells of one task's heatmap, whatever their score.

    Cells are ranked by their logits: sharpened scores, sigmoid(logit / 0.1), round to exactly 1 from a logit of 1.7 on
    and no longer tell peaks from their neighbours.

    Args:
        logits: (B, C, H, W) float32.
        maps: dict of float32 maps: reg (B, 2, H, W) cells, height (B, 1, H, W) m, dim (B, 3, H, W) m or log m, rot
            (B, 2, H, W) sin and cos of yaw, and vel (B, 2, H, W) m/s when velocity is predicted.
        coder: holds ``pc_range``, ``voxel_size``, ``out_size_factor``, ``max_num``.
        norm_bbox: ``dim`` holds logarithms.

    Returns:
        (B, K, 7 or 9) boxes with gravity centre, (B, K) logits and (B, K) int64 class in task, best first.
    """
    height, width = logits.shape[2:]
    flat = logits.flatten(1)
    logits, cells = flat.topk(min(coder.max_num, flat.shape[1]), dim=1)
    labels = torch.div(cells, height * width, rounding_mode='floor')
    cells = cells % (height * width)

    def gather(name):
        feature = maps[name].flatten(2)
        return feature.gather(2, cells[:, None].expand(-1, feature.shape[1], -1)).transpose(1, 2)

    corner = torch.stack([cells % width, torch.div(cells, width, rounding_mode='floor')], dim=2)
    step = logits.new_tensor([coder.out_size_factor * size for size in coder.voxel_size[:2]])
    centre = (corner + gather('reg')) * step + logits.new_tensor([float(value) for value in coder.pc_range[:2]])
    size = gather('dim').exp() if norm_bbox else gather('dim')
    sin, cos = gather('rot').unbind(dim=2)
    parts = [centre, gather('height'), size, torch.atan2(sin, cos)[..., None]]
    if 'vel' in maps:
        parts.append(gather('vel'))
    return torch.cat(parts, dim=2), logits, labels


def logit_threshold(score: float, temperature: float = 1.0) -> float:
    """The logit x at which sigmoid(x / temperature) is ``score``; infinite for scores that no logit reaches."""
    if not 0 < score < 1:
        return -math.inf if score <= 0 else math.inf
    return temperature * math.log(score / (1 - score))


def inside(boxes: Tensor, limits: Sequence[float] | None) -> Tensor:
    """Mask of boxes (..., >=3) whose centre lies in (x_min, y_min, z_min, x_max, y_max, z_max); all without limits."""
    if limits is None or len(limits) == 0:
        return torch.ones_like(boxes[..., 0], dtype=torch.bool)
    edges = boxes.new_tensor([float(value) for value in limits])
    return ((boxes[..., :3] >= edges[:3]) & (boxes[..., :3] <= edges[3:])).all(dim=-1)


@dataclass(frozen=True)
class TaskNMS:
    """Non-maximum suppression of one task, across its classes.

    Attributes:
        kind: 'rotate' (IoU of BEV rectangles) or 'circle' (distance of centres).
        threshold: IoU above which a lower box goes ('rotate'); squared distance in m^2 up to which it goes ('circle').
        factors: per class, what l and w are multiplied with for the IoU only (scale-NMS); not used by 'circle'.
        pre_max_size, post_max_size: number of boxes that enter and leave; None for no limit.
    """

    kind: str
    threshold: float
    factors: Sequence[float]
    pre_max_size: int | None = None
    post_max_size: int | None = None

    def __call__(self, boxes: Tensor, scores: Tensor, labels: Tensor) -> Tensor:
        """Indices of the boxes to keep, by falling score.

        Args:
            boxes: (N, >=7) float32 x, y, z, l, w, h, yaw.
            scores: (N,) float32, only their order counts: logits will do.
            labels: (N,) int64 class in the task.
        """
        order = scores.sort(descending=True, stable=True).indices
        if self.kind == 'rotate':
            order = order[: self.pre_max_size]
        if len(order) == 0:
            return order
        boxes, scores, labels = boxes[order], scores[order], labels[order]
        if self.kind == 'circle':
            keep = _circle_nms(boxes[:, :2], self.threshold)
        else:
            scale = boxes.new_tensor(self.factors)[labels][:, None]
            rectangles = torch.cat([boxes[:, :2], boxes[:, 3:5] * scale, boxes[:, 6:7]], dim=1)
            keep = nms_rotated(rectangles, scores, self.threshold)[1]
        return order[keep[: self.post_max_size]]


def _circle_nms(centres, threshold):
    """Rows of (N, 2) ``centres``, best first, without a kept row before them within squared distance ``threshold``."""
    near = (centres[:, None] - centres[None]).square().sum(dim=2) <= threshold
    near, keep = near.cpu().numpy(), []
    gone = np.zeros(len(near), dtype=bool)
    for row, neighbours in enumerate(near):
        if not gone[row]:
            keep.append(row)
            gone |= neighbours
    return torch.tensor(keep, dtype=torch.long, device=centres.device)


def build_task_nms(settings: Mapping[str, Any], class_names: Sequence[Sequence[str]]) -> list[TaskNMS]:
    """One :class:`TaskNMS` per task from mmdet3d's ``test_cfg``.

    ``nms_type``, ``nms_thr``, ``min_radius`` (squared metres, needed by 'circle') and ``nms_rescale_factor`` are one
    value or a list with one entry per task; a factor may itself be a list with one number per class of the task.

    Args:
        settings: dict with keys of ``TEST_KEYS``.
        class_names: list of lists, the classes of each task.

    Raises:
        ValueError: unknown key or NMS type, or a list of the wrong length; names the key.
    """
    unknown = set(settings) - TEST_KEYS
    if unknown:
        raise ValueError(f'test_cfg of BEVCenterHead: unknown {sorted(unknown)}; known are {sorted(TEST_KEYS)}')
    num_tasks = len(class_names)
    kinds = _spread(settings['nms_type'], num_tasks, 'nms_type')
    thresholds = _spread(settings.get('nms_thr'), num_tasks, 'nms_thr')
    radii = _spread(settings.get('min_radius'), num_tasks, 'min_radius')
    rescale = _spread(settings.get('nms_rescale_factor', 1.0), num_tasks, 'nms_rescale_factor')
    tasks = []
    for task, (kind, names) in enumerate(zip(kinds, class_names)):
        if kind not in ('rotate', 'circle'):
            raise ValueError(f"test_cfg: nms_type is 'rotate' or 'circle', got {kind!r} for task {task} {names}")
        key, value = ('nms_thr', thresholds[task]) if kind == 'rotate' else ('min_radius', radii[task])
        if value is None:
            raise ValueError(f'test_cfg: nms_type {kind!r} of task {task} {names} needs {key}')
        factors = _spread(rescale[task], len(names), f'nms_rescale_factor of task {task} {names}')
        limits = settings.get('pre_max_size'), settings.get('post_max_size')
        tasks.append(TaskNMS(kind, float(value), [float(factor) for factor in factors], *limits))
    return tasks


def _spread(value, count, name):
    if not isinstance(value, (list, tuple)):
        return [value] * count
    if len(value) != count:
        raise ValueError(f'test_cfg: {name} needs {count} entries, got {len(value)}: {value}')
    return list(value)
