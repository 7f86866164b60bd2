"""From the LiDAR to a camera and into its image."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def project(points: np.ndarray, intrinsic: np.ndarray) -> np.ndarray:
    """Pinhole projection.

    Args:
        points: (..., 3) in the camera frame with z > 0, metres.
        intrinsic: (3, 3), px.

    Returns:
        (..., 2) column and row, px.
    """
    homogeneous = points @ np.asarray(intrinsic, dtype=np.float64).T
    return homogeneous[..., :2] / homogeneous[..., 2:]


def lidar_to_camera(camera: Mapping[str, Any]) -> np.ndarray:
    """(4, 4) transform from an info's ``sensor2lidar_rotation`` (3, 3) and ``sensor2lidar_translation`` (3,)."""
    rotation = np.asarray(camera['sensor2lidar_rotation'], dtype=np.float64)
    matrix = np.eye(4)
    matrix[:3, :3] = rotation.T
    matrix[:3, 3] = -rotation.T @ np.asarray(camera['sensor2lidar_translation'], dtype=np.float64)
    return matrix
