"""When each sensor fires: timestamps, keyframes and file names of one scene."""

from dataclasses import dataclass

import numpy as np

from .config import KEYFRAME_HZ, SyntheticConfig
from .rig import LIDAR, build_rig

_FIRST_STAMP = 1_533_000_000_000_000
_SCENE_STRIDE = 1_000_000_000
_KEY_JITTER = 2000
_SWEEP_JITTER = 800


@dataclass(frozen=True)
class Frame:
    """One recording. ``timestamp`` us; ``time`` s since the scene's start; ``keyframe`` the index of the keyframe it
    belongs to: its own, or for a sweep the one that follows."""

    channel: str
    timestamp: int
    time: float
    keyframe: int
    is_key: bool
    filename: str


def log_name(scene_index: int) -> str:
    return f'synthetic-2018-07-31-{scene_index:04d}'


def scene_origin(scene_index: int) -> int:
    """Time stamp (us) of a scene's start, which is time 0 of its world."""
    return _FIRST_STAMP + scene_index * _SCENE_STRIDE


def build_schedule(config: SyntheticConfig, scene_index: int) -> dict:
    """Frames by channel in order of time, for the scene with the given index.

    Keyframes are half a second apart and sweeps fill the gaps evenly, each stamp with a jitter of its own
    (2 ms for keyframes, 0.8 ms for sweeps). As in nuScenes a scene starts and ends with a keyframe, unless sweeps lead
    in.
    """
    rng = np.random.default_rng([config.seed, scene_index, 1])
    origin = scene_origin(scene_index)
    keys = np.arange(config.keyframes) * (1_000_000 // KEYFRAME_HZ)
    keys = keys + rng.integers(-_KEY_JITTER, _KEY_JITTER + 1, size=len(keys))
    rig = build_rig(config.image_width, config.image_height)
    schedule = {}
    for channel in config.channels:
        rate = config.lidar_sweep_hz if channel == LIDAR else config.camera_sweep_hz
        offset = round(rig[channel].trigger_offset * 1e6)
        schedule[channel] = _channel_frames(
            channel, keys + offset, rate // KEYFRAME_HZ, round(config.lead_in * rate), origin, scene_index, rng
        )
    return schedule


def _channel_frames(channel, keys, per_key, before, origin, scene_index, rng):
    folder_key, folder_sweep = f'samples/{channel}', f'sweeps/{channel}'
    suffix = 'pcd.bin' if channel == LIDAR else 'jpg'
    frames = []
    for k in range(len(keys)):
        stamps = [(int(keys[k]), True)]
        if k > 0 or before:
            gap = keys[k] - keys[k - 1] if k > 0 else 1_000_000 // KEYFRAME_HZ
            parts = np.arange(1, per_key) if k > 0 else np.arange(per_key - before, per_key)
            between = keys[k] - gap + gap * parts / per_key
            jitter = rng.integers(-_SWEEP_JITTER, _SWEEP_JITTER + 1, size=len(between))
            stamps = [(int(s), False) for s in np.rint(between).astype(np.int64) + jitter] + stamps
        for stamp, is_key in stamps:
            name = f'{log_name(scene_index)}__{channel}__{origin + stamp}.{suffix}'
            folder = folder_key if is_key else folder_sweep
            frames.append(Frame(channel, origin + stamp, stamp * 1e-6, k, is_key, f'{folder}/{name}'))
    return frames
