"""Order of a data set's samples: scene after scene, each in order of time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def scene_order(scenes: Sequence[str], times: Sequence[int]) -> np.ndarray:
    """Order by the start of the scene, then by scene, then by time, so that scenes never interleave.

    Where scenes do not overlap in time this is the order of time.

    Args:
        scenes: Scene token of each of N samples, in any order.
        times: Their timestamps (us).

    Returns:
        (N,) int64 indices.
    """
    names, number = np.unique(np.asarray(scenes, dtype=str), return_inverse=True)
    moments = np.asarray(times, dtype=np.int64)
    start = np.full(len(names), np.iinfo(np.int64).max)
    np.minimum.at(start, number, moments)
    return np.lexsort((moments, number, start[number]))


def scene_starts(scenes: Sequence, times: Sequence) -> np.ndarray:
    """(N,) int64: for each sample the index of the first one of its scene.

    Args:
        scenes: Token or number of each sample's scene, each scene's in one piece and in order of time. A scene may come
            again, also right behind itself.
        times: Time of each sample.
    """
    scene, time = np.asarray(scenes), np.asarray(times)
    indices = np.arange(len(scene))
    is_first = np.ones(len(scene), dtype=bool)
    is_first[1:] = (scene[1:] != scene[:-1]) | (time[1:] <= time[:-1])
    return np.maximum.accumulate(np.where(is_first, indices, 0))
