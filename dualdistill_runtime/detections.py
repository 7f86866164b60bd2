"""What a detector says about one moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Detections(NamedTuple):
    """Boxes of one moment, in its LiDAR frame.

    Attributes:
        boxes: (N, 9) float32 x, y, z of the bottom's centre, l, w, h (metres), yaw (rad, counter-clockwise from x),
            vx, vy (m/s).
        scores: (N,) float32.
        labels: (N,) int64, index into the detector's ``classes``.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray


def on_the_ground(centred: np.ndarray, logits: np.ndarray, labels: np.ndarray) -> Detections:
    """Detections of boxes (N, 9) around their gravity centres, with scores of logits."""
    boxes = centred.astype(np.float32)
    boxes[:, 2] -= boxes[:, 5] * np.float32(0.5)
    return Detections(boxes, sigmoid(logits).astype(np.float32), labels.astype(np.int64))


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """1 / (1 + e^-x), without overflow."""
    small = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1, small) / (1 + small)


def inside(boxes: np.ndarray, limits: Sequence[float] | None) -> np.ndarray:
    """Mask of boxes (N, 3 or more) whose centre lies in (x_min, y_min, z_min, x_max, y_max, z_max); all without."""
    if not limits:
        return np.ones(len(boxes), dtype=bool)
    edges = np.asarray(limits, dtype=np.float32)
    return ((boxes[:, :3] >= edges[:3]) & (boxes[:, :3] <= edges[3:])).all(axis=1)


def best(logits: np.ndarray, count: int) -> np.ndarray:
    """Indices of the ``count`` largest of (M,) logits, largest first."""
    count = min(count, len(logits))
    chosen = np.argpartition(-logits, count - 1)[:count] if count else np.zeros(0, dtype=np.int64)
    return chosen[np.lexsort((chosen, -logits[chosen]))]
