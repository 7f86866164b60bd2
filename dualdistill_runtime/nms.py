"""Non-maximum suppression of one detection task, by circles or by turned rectangles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .rotated_iou import rotated_iou


@dataclass(frozen=True)
class TaskNMS:
    """What ``test_cfg`` of a CenterPoint head says of one task.

    Attributes:
        kind: 'rotate' (IoU of BEV rectangles) or 'circle' (distance of centres).
        threshold: IoU from which on a lower box goes ('rotate'); squared metres up to which it goes ('circle').
        factors: Per class, what l and w are multiplied with for the IoU only; not used by 'circle'.
        pre_max_size, post_max_size: Boxes that enter ('rotate' only) and leave; None for no limit.
    """

    kind: str
    threshold: float
    factors: Sequence[float]
    pre_max_size: int | None = None
    post_max_size: int | None = None

    def __call__(self, boxes: np.ndarray, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Indices of the boxes to keep, best first.

        Args:
            boxes: (N, 7 or more) x, y, z, l, w, h, yaw.
            logits: (N,), only their order counts.
            labels: (N,) class in the task.
        """
        order = np.argsort(-logits, kind='stable')
        if self.kind == 'circle':
            near = np.square(boxes[order, None, :2] - boxes[order, :2]).sum(axis=2) <= self.threshold
        else:
            order = order[: self.pre_max_size]
            sizes = boxes[order, 3:5] * np.asarray(self.factors, dtype=np.float32)[labels[order]][:, None]
            near = _overlap(np.concatenate([boxes[order, :2], sizes, boxes[order, 6:7]], axis=1), self.threshold)
        return order[_kept(near)[: self.post_max_size]]


def _overlap(rectangles, threshold):
    """(N, N) bool: which later rectangle overlaps an earlier one from the threshold on."""
    first, second = np.triu_indices(len(rectangles), 1)
    near = np.zeros((len(rectangles),) * 2, dtype=bool)
    near[first, second] = rotated_iou(rectangles[first], rectangles[second], threshold) >= threshold
    return near


def _kept(near):
    """Rows, best first, that no kept row before them is near to."""
    gone, kept = np.zeros(len(near), dtype=bool), []
    for row, neighbours in enumerate(near):
        if not gone[row]:
            kept.append(row)
            gone |= neighbours
    return np.array(kept, dtype=np.int64)
