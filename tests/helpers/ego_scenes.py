"""A car on a circle, its poses and its CAN bus messages, by formula."""

import json

import numpy as np
from pyquaternion import Quaternion

from dualdistill_runtime.ego_motion import ScenePoses

START = 1_600_000_000.0


def circle(seconds, yaw0=0.3, rate=0.4, speed=6.0):
    """(4, 4) pose of a car that turns left with ``rate`` (rad/s) at ``speed`` (m/s)."""
    radius, yaw = speed / rate, yaw0 + rate * seconds
    pose = np.eye(4)
    pose[:3, :3] = Quaternion(axis=[0, 0, 1], radians=yaw).rotation_matrix
    pose[:3, 3] = [500 + radius * np.sin(yaw), 900 - radius * np.cos(yaw), 0]
    return pose


def scene_of(poses, seconds, name='scene-0061', sign=1):
    """ScenePoses of poses at ``seconds`` after START."""
    quaternions = [sign * Quaternion(matrix=pose).elements for pose in poses]
    times = np.array([round((START + s) * 1e6) for s in seconds], dtype=np.int64)
    return ScenePoses(name, times, np.stack(poses), np.stack(quaternions))


def write_can_bus(root, stamps, name='scene-0061'):
    """A file whose message i has accel (i, 0, 9.8), rotation_rate (0, 0, i) and vel (-i, 0, 0)."""
    messages = [
        dict(utime=int(stamp), accel=[i, 0, 9.8], rotation_rate=[0, 0, i], vel=[-i, 0, 0], pos=[0, 0, 0],
             orientation=[1, 0, 0, 0])
        for i, stamp in enumerate(stamps)
    ]  # fmt: skip
    path = root / 'can_bus' / f'{name}_pose.json'
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(messages))
    return path
