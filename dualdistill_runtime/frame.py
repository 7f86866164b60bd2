"""What a detector is given: the cameras of one moment, and where everything stood."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Frame:
    """One moment. Poses are (4, 4) float64 in metres, column vectors: ``global = lidar2global @ lidar``.

    Attributes:
        images: Camera name -> (h, w, 3) uint8 BGR, or the path of a file.
        intrinsics: Camera name -> (3, 3), pixels; the first pixel's centre is (0, 0).
        camera2global: Camera name -> pose of the camera (x right, y down, z forward) at its own exposure.
        lidar2global: Where the boxes are wanted: x right, y forward, z up.
        timestamp: Seconds.
        scene: Frames of another scene start anew.
        ego2global: Pose of the car (x forward, y left, z up). BEVFormer reads it.
        motion: (9,) acceleration with gravity (m/s^2), angular rates (rad/s) and velocity (m/s) in the ego frame.
            BEVFormer reads it; None is zeros. Or the whole (18,) of :class:`.motion_vector.MotionVector`, whose motion
            since the moment before is taken anew.
        token: Any name of the moment.
    """

    images: Mapping[str, np.ndarray | str | Path]
    intrinsics: Mapping[str, np.ndarray]
    camera2global: Mapping[str, np.ndarray]
    lidar2global: np.ndarray
    timestamp: float
    scene: str = ''
    ego2global: np.ndarray | None = None
    motion: np.ndarray | None = None
    token: str = ''
