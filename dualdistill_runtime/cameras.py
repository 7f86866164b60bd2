"""Names and order of the cameras, and what gives a moment its time and its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

# A sample without predecessors stands beside itself. The displacement head needs some time between the two: one period
# of nuScenes' 12 Hz cameras.
LONE_FRAME_DT = 1 / 12

NUSCENES_CAMERAS = (
    'CAM_FRONT_LEFT',
    'CAM_FRONT',
    'CAM_FRONT_RIGHT',
    'CAM_BACK_LEFT',
    'CAM_BACK',
    'CAM_BACK_RIGHT',
)


def camera_order(names: Sequence[str]) -> tuple[str, ...]:
    """Camera names in the order of a batch's N axis: nuScenes' six first, as far as there, then the others as given."""
    return (*(name for name in NUSCENES_CAMERAS if name in names), *(n for n in names if n not in NUSCENES_CAMERAS))


def reference_camera(names: Iterable[str]) -> str:
    """The camera whose images time a previous frame: CAM_FRONT, or the first one where there is none.

    Args:
        names (Iterable[str]): Cameras in the order of the info file.
    """
    names = list(names)
    return 'CAM_FRONT' if 'CAM_FRONT' in names else names[0]


def reference_pose(keyframe: Mapping[str, Any]) -> np.ndarray:
    """(4, 4) float64 LIDAR_TOP -> global at a keyframe, from its ``lidar2ego`` and ``ego2global``."""
    return np.asarray(keyframe['ego2global'], dtype=np.float64) @ np.asarray(keyframe['lidar2ego'], dtype=np.float64)
