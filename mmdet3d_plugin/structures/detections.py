"""What a detection head says about one sample."""

from typing import Any, NamedTuple

from torch import Tensor


class Detections(NamedTuple):
    """Boxes of one sample.

    Attributes:
        boxes: mmdet3d boxes (x, y, z, l, w, h, yaw, vx, vy), z at the bottom centre; metres, radians, m/s.
        scores: (N,) float32.
        labels: (N,) int64, index into the head's ``classes``.
    """

    boxes: Any
    scores: Tensor
    labels: Tensor
