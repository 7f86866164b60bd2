"""One keyframe with all that the pictures of a scene show of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..structures.boxes import Boxes


@dataclass(frozen=True)
class Frame:
    """A keyframe, its sensors and the boxes of everybody, in its own LiDAR frame (x right, y forward, z up).

    Args:
        token: Of the sample.
        scene: Name of the scene.
        seconds: Time since the scene's first keyframe.
        lidar_to_global: (4, 4) pose.
        points: (M, >=3) LiDAR points, metres.
        cameras: Camera name -> image (H, W, 3) uint8 RGB and its info dict (``cam_intrinsic`` of an image of this size,
            ``sensor2lidar_rotation``, ``sensor2lidar_translation``).
        truth: Ground truth; None where nobody has annotated.
        models: Name -> predictions with scores.
    """

    token: str
    scene: str
    seconds: float
    lidar_to_global: np.ndarray
    points: np.ndarray
    cameras: Mapping[str, tuple[np.ndarray, Mapping[str, Any]]]
    truth: Boxes | None
    models: Mapping[str, Boxes] = field(default_factory=dict)


def above(boxes: Boxes, threshold: float) -> Boxes:
    """Predictions with a score of at least ``threshold``."""
    return boxes.select(boxes.scores >= threshold)
