"""The sensor rig: mounts, intrinsics and trigger times of nuScenes' LIDAR_TOP and six cameras, and of two more cameras.

Numbers are those of the nuScenes calibration tables (one car's calibration), rounded; CAM_LEFT and CAM_RIGHT, which
nuScenes does not have, are made up. Rotations are quaternions
(w, x, y, z) sensor -> ego; the LiDAR looks along its own y axis, a camera along its z axis. Intrinsics are given for
1600 x 900 pixels and scale with the image size; integer pixel coordinates are pixel centres.
"""

from dataclasses import dataclass

import numpy as np
from pyquaternion import Quaternion

LIDAR = 'LIDAR_TOP'
LIDAR_TRANSLATION = (0.9437, 0.0, 1.8402)
LIDAR_ROTATION = (0.70780, -0.00649, 0.01065, -0.70631)
SPIN_PERIOD = 0.05
LOWEST_BEAM, HIGHEST_BEAM = -30.67, 10.67
NATIVE_SIZE = (1600, 900)

# channel -> translation (m), rotation, focal length, principal point (px at 1600 x 900), viewing direction (deg).
_CAMERAS = {
    'CAM_FRONT': (
        (1.7008, 0.0159, 1.5110), (-0.49980, 0.50303, -0.49978, 0.49737), 1266.42, (816.27, 491.51), 0.0,
    ),
    'CAM_FRONT_RIGHT': (
        (1.5508, -0.4934, 1.4957), (0.20603, -0.20269, 0.68245, -0.67136), 1260.85, (807.97, 495.33), -55.0,
    ),
    'CAM_FRONT_LEFT': (
        (1.5239, 0.4946, 1.5093), (0.67573, -0.67363, 0.21214, -0.21123), 1272.60, (826.62, 479.75), 55.0,
    ),
    'CAM_BACK': (
        (0.0283, 0.0035, 1.5791), (0.50379, -0.49740, -0.49419, 0.50455), 809.22, (829.22, 481.78), 180.0,
    ),
    'CAM_BACK_LEFT': (
        (1.0357, 0.4848, 1.5910), (-0.69242, 0.70316, 0.11648, -0.11203), 1256.74, (792.11, 492.78), 110.0,
    ),
    'CAM_BACK_RIGHT': (
        (1.0149, -0.4806, 1.5624), (-0.12281, 0.13240, 0.70043, -0.69050), 1259.51, (807.25, 501.20), -110.0,
    ),
    'CAM_LEFT': (
        (1.2500, 0.5000, 1.5500), (0.70711, -0.70711, 0.0, 0.0), 1260.00, (800.00, 450.00), 90.0,
    ),
    'CAM_RIGHT': (
        (1.2500, -0.5000, 1.5500), (0.0, 0.0, 0.70711, -0.70711), 1260.00, (800.00, 450.00), -90.0,
    ),
}  # fmt: skip
ALL_CAMERAS = tuple(_CAMERAS)
CAMERAS = ALL_CAMERAS[:6]  # nuScenes'
CHANNELS = (LIDAR, *ALL_CAMERAS)
# The spin ends, and the LiDAR stamp is taken, just after the beam has passed the back-left camera's axis.
_SPIN_END_DEG = 110.0
_SPIN_TAIL = 0.0005


@dataclass(frozen=True)
class Sensor:
    """One mounted sensor. ``rotation`` (3, 3) and ``translation`` (3,) are sensor -> ego, ``intrinsic`` (3, 3) px."""

    channel: str
    translation: np.ndarray
    quaternion: tuple
    intrinsic: np.ndarray
    trigger_offset: float

    @property
    def rotation(self) -> np.ndarray:
        return Quaternion(self.quaternion).rotation_matrix


def _unit(quaternion):
    q = np.asarray(quaternion, dtype=np.float64)
    return tuple((q / np.linalg.norm(q)).tolist())


def build_rig(width: int, height: int) -> dict:
    """Sensors by channel for images of width x height px.

    A camera fires when the clockwise spinning LiDAR passes its axis, so ``trigger_offset`` (s, <= 0) is relative to
    the LiDAR stamp at the end of the spin: about -43 ms for CAM_FRONT_LEFT to -0.5 ms for CAM_BACK_LEFT.
    """
    sensors = {LIDAR: Sensor(LIDAR, np.array(LIDAR_TRANSLATION), _unit(LIDAR_ROTATION), None, 0.0)}
    sx, sy = width / NATIVE_SIZE[0], height / NATIVE_SIZE[1]
    for channel, (translation, rotation, focal, centre, direction) in _CAMERAS.items():
        swept = (_SPIN_END_DEG - direction) % 360.0 or 360.0
        offset = -SPIN_PERIOD * (1.0 - swept / 360.0) - _SPIN_TAIL
        intrinsic = np.array([[focal * sx, 0, centre[0] * sx], [0, focal * sy, centre[1] * sy], [0, 0, 1.0]])
        sensors[channel] = Sensor(channel, np.array(translation), _unit(rotation), intrinsic, offset)
    return sensors
