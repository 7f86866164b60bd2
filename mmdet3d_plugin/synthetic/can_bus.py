"""Pose messages of a scene in the layout of nuScenes' CAN bus expansion."""

import json
from pathlib import Path

import numpy as np

from .config import SyntheticConfig
from .schedule import scene_origin
from .tables import ego_quaternion
from .world import World

MESSAGE_HZ = 50
_MARGIN = 0.2  # s before the first recording and after the last keyframe


def has_can_bus(config: SyntheticConfig, scene_index: int) -> bool:
    """Whether a scene has a file: ``config.can_bus`` of all scenes, spread evenly."""
    before, after = (round(number * config.can_bus, 6) for number in (scene_index, scene_index + 1))
    return int(after) > int(before)


def pose_messages(config: SyntheticConfig, scene_index: int, world: World) -> list:
    """Messages in order of time; lengths m, times us, angles rad, vectors in the ego frame, without noise."""
    first, last = -_MARGIN - config.lead_in, config.duration + _MARGIN
    messages = []
    for time in np.arange(first, last, 1 / MESSAGE_HZ):
        x, y, yaw = world.ego.pose(time)
        speed, turn, acceleration = world.ego.motion(time)
        messages.append(
            dict(
                utime=scene_origin(scene_index) + round(time * 1e6),
                pos=[float(x), float(y), 0.0],
                orientation=ego_quaternion(yaw),
                vel=[speed, 0.0, 0.0],
                accel=acceleration,
                rotation_rate=[0.0, 0.0, turn],
            )
        )
    return messages


def write_can_bus(root: Path, scene_name: str, messages: list) -> None:
    """Write ``can_bus/<scene>_pose.json`` below a data root."""
    folder = root / 'can_bus'
    folder.mkdir(exist_ok=True)
    (folder / f'{scene_name}_pose.json').write_text(json.dumps(messages))
