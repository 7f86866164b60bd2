"""From the queries of a DETR head to boxes; no suppression is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .detections import Detections, best, inside, on_the_ground


@dataclass(frozen=True)
class QueryDecoder:
    """Decoding of a model file's ``head`` of kind 'query'.

    Attributes:
        max_num: Best (query, class) pairs that are kept.
        min_logit: Boxes have a higher one; None keeps all.
        limits: (x_min, y_min, z_min, x_max, y_max, z_max) in which a box's centre must lie; None for no limit.
    """

    max_num: int
    min_logit: float | None
    limits: Sequence[float] | None

    @classmethod
    def of(cls, head: Mapping[str, Any]) -> QueryDecoder:
        """Taken from a model file."""
        return cls(head['max_num'], head['min_logit'], head['limits'])

    def __call__(self, outputs: Mapping[str, np.ndarray], seconds: float | None = None) -> Detections:
        """Boxes of one sample.

        Args:
            outputs: ``logits`` (Q, K) and ``codes`` (Q, 10), or decoded ``boxes`` (M, 9), ``logits``, ``labels`` (M,).
            seconds: Not read; decoders of other heads do.
        """
        logits = outputs['logits']
        if 'boxes' in outputs:
            boxes, labels = outputs['boxes'], outputs['labels']
        else:
            chosen = best(logits.reshape(-1), self.max_num)
            query, labels = np.divmod(chosen, logits.shape[1])
            boxes, logits = _boxes(outputs['codes'][query]), logits.reshape(-1)[chosen]
        kept = inside(boxes, self.limits)
        if self.min_logit is not None:
            kept &= logits > self.min_logit
        return on_the_ground(boxes[kept], logits[kept], labels[kept])


def _boxes(codes):
    """(N, 10) x, y, log l, log w, z, log h, sin yaw, cos yaw, vx, vy -> (N, 9)."""
    size = np.exp(codes[:, [2, 3, 5]])
    yaw = np.arctan2(codes[:, 6:7], codes[:, 7:8])
    return np.concatenate([codes[:, :2], codes[:, 4:5], size, yaw, codes[:, 8:]], axis=1)
