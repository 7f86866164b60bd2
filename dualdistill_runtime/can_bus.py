"""nuScenes' CAN bus expansion: ``<data root>/can_bus/scene-0001_pose.json`` and so on, 50 messages a second."""

from __future__ import annotations

import functools
import json
import os

import numpy as np

FOLDER = 'can_bus'
# the order of the vector; each has three numbers in the ego frame
READ = ('accel', 'rotation_rate', 'vel')
# a file whose messages are further away belongs to another scene
_FURTHEST = 5.0  # s
_SCENES_KEPT = 1024  # 40 KB each; nuScenes has 850


def can_bus_path(data_root: str, scene_name: str) -> str:
    """The file of a scene's messages."""
    return os.path.join(data_root, FOLDER, f'{scene_name}_pose.json')


def has_can_bus(data_root: str, scene_name: str | None) -> bool:
    """Whether a scene has a file of messages; nuScenes itself leaves some scenes out.

    Raises:
        ValueError: the scene's name is not known.
        FileNotFoundError: there is no folder of such files.
    """
    if scene_name is None:
        raise ValueError(
            f'{data_root}: the info file has no scene_name, by which CAN bus files are found. Make it again with '
            f"tools/create_data.py, or set motion_source='poses'"
        )
    if not os.path.isdir(os.path.join(data_root, FOLDER)):
        raise FileNotFoundError(
            f"{os.path.join(data_root, FOLDER)}: no such folder. Unpack nuScenes' CAN bus expansion (can_bus.zip) into "
            f"{data_root}, or set motion_source='poses'"
        )
    return os.path.isfile(can_bus_path(data_root, scene_name))


def motion_at(data_root: str, scene_name: str, seconds: float) -> np.ndarray:
    """The last message up to a moment, or the first one where there is none.

    Args:
        data_root: nuScenes data root.
        scene_name: such as scene-0001.
        seconds: time of the sample.

    Returns:
        (9,) in the ego frame: acceleration with gravity (m/s^2), angular rates (rad/s), velocity (m/s).

    Raises:
        OSError, ValueError: the file cannot be read, holds no such messages, or those of another time.
    """
    path, stamp = can_bus_path(data_root, scene_name), round(seconds * 1e6)
    times, values = _messages(path)
    index = max(int(np.searchsorted(times, stamp, side='right')) - 1, 0)
    if abs(times[index] - stamp) > _FURTHEST * 1e6:
        raise ValueError(
            f'{path}: its messages are of {times[0] / 1e6:.1f} s to {times[-1] / 1e6:.1f} s, a sample of the scene is '
            f'of {seconds:.1f} s: is this the file of another scene? Unpack can_bus.zip again'
        )
    return values[index].astype(np.float64)


@functools.lru_cache(maxsize=_SCENES_KEPT)
def _messages(path):
    """Times (M,) int64 us, ascending, and values (M, 9) float32 of a file."""
    try:
        with open(path, encoding='utf-8') as file:
            messages = json.load(file)
        times = np.array([message['utime'] for message in messages], dtype=np.int64)
        parts = [np.array([message[key] for message in messages], dtype=np.float32) for key in READ]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f'{path}: not a file of CAN bus poses ({error!r}). Unpack can_bus.zip again') from error
    values = (
        np.concatenate([part.reshape(len(times), -1) for part in parts], axis=1) if len(times) else np.zeros((0, 0))
    )
    if values.shape != (len(times), 9) or not len(times) or not np.isfinite(values).all():
        raise ValueError(
            f'{path}: not a file of CAN bus poses (wanted messages of utime and three finite numbers each of '
            f'{", ".join(READ)}). Unpack can_bus.zip again'
        )
    order = np.argsort(times, kind='stable')
    return times[order], values[order]
