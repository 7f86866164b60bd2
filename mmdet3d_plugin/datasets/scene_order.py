"""Order of a data set's samples: scene after scene, each in order of time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def in_scene_order(infos: Sequence[dict]) -> list[dict]:
    """Infos by the start of their scene, then by scene, then by time, so that scenes never interleave.

    Where scenes do not overlap in time this is the order of time.

    Args:
        infos (Sequence[dict]): Infos with ``scene_token`` and ``timestamp`` (us), in any order.
    """
    start: dict[str, int] = {}
    for info in infos:
        scene = info['scene_token']
        start[scene] = min(info['timestamp'], start.get(scene, info['timestamp']))
    return sorted(infos, key=lambda info: (start[info['scene_token']], info['scene_token'], info['timestamp']))


def scene_starts(infos: Sequence[dict]) -> np.ndarray:
    """(N,) int64: for each info the index of the first one of its scene.

    Args:
        infos (Sequence[dict]): N infos, each scene's in one piece.
    """
    scenes = np.array([info['scene_token'] for info in infos], dtype=object)
    indices = np.arange(len(scenes))
    is_first = np.ones(len(scenes), dtype=bool)
    is_first[1:] = scenes[1:] != scenes[:-1]
    return np.maximum.accumulate(np.where(is_first, indices, 0))
