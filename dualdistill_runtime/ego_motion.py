"""How the car moves at the keyframes of a scene: its poses, and speeds and accelerations that follow from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

GRAVITY = 9.81  # m/s^2: an accelerometer at rest shows it, upwards
MOTION_NUMBERS = 9


@dataclass(frozen=True)
class ScenePoses:
    """The car at all keyframes of a scene, in order of time.

    ``name`` is the scene's, None in infos that do not tell it. ``times`` (K,) int64 us. ``ego2global`` (K, 4, 4).
    ``quaternions`` (K, 4) w, x, y, z with the sign of the tables.
    """

    name: str | None
    times: np.ndarray
    ego2global: np.ndarray
    quaternions: np.ndarray

    def find(self, seconds: float) -> int | None:
        """Index of the keyframe at that time, None when the scene has none."""
        stamp = round(seconds * 1e6)
        index = int(np.searchsorted(self.times, stamp - 1))
        return index if index < len(self.times) and abs(self.times[index] - stamp) <= 1 else None

    def motion(self) -> np.ndarray:
        """See :func:`motion_from_poses`."""
        return motion_from_poses((self.times - self.times[0]) / 1e6, self.ego2global)


def motion_from_poses(seconds: np.ndarray, ego2global: np.ndarray) -> np.ndarray:
    """What the car's sensors would show, by differences between keyframes.

    Central differences, one-sided at both ends of the scene. A speed thus looks half a second ahead, an acceleration
    one second: a car on the road would need the CAN bus. Roll and pitch rates are taken as 0.

    Args:
        seconds: (K,) times of the keyframes.
        ego2global: (K, 4, 4) poses of the car.

    Returns:
        (K, 9) float64 in the ego frame: acceleration with gravity (m/s^2), angular rates (rad/s), velocity (m/s).
        A scene of one keyframe stands still.
    """
    motion = np.zeros((len(seconds), MOTION_NUMBERS))
    motion[:, 2] = GRAVITY
    if len(seconds) < 2:
        return motion
    rotations = ego2global[:, :3, :3]
    velocity = np.gradient(ego2global[:, :3, 3], seconds, axis=0)
    acceleration = np.gradient(velocity, seconds, axis=0)
    motion[:, 0:3] += np.einsum('kji,kj->ki', rotations, acceleration)
    motion[:, 5] = np.gradient(np.unwrap(yaw_of(ego2global)), seconds)
    motion[:, 6:9] = np.einsum('kji,kj->ki', rotations, velocity)
    return motion


def yaw_of(pose: np.ndarray) -> np.ndarray:
    """Heading (rad, counter-clockwise about z, in (-pi, pi]) of the x axis of poses (..., 4, 4)."""
    return np.arctan2(pose[..., 1, 0], pose[..., 0, 0])
