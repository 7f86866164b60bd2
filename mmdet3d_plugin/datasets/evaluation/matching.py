"""Greedy matching of detections to annotations, compiled. Import it where it is used: numba takes a while to import."""

from __future__ import annotations

import numpy as np
from numba import njit


def _compiled(function):
    """Compiled once for all runs, or for this one where neither the package nor the user's folder can be written to."""
    try:
        return njit(cache=True)(function)
    except RuntimeError:  # numba finds no place for its cache
        return njit(function)


@_compiled
def match(
    found: np.ndarray, begin: np.ndarray, end: np.ndarray, truth: np.ndarray, thresholds: np.ndarray
) -> np.ndarray:
    """Give each detection the nearest annotation of its sample and class that none before it has taken.

    Each distance is computed once for all thresholds. Of annotations at the same distance the first is taken.

    Args:
        found: (N, 2) float64 centres of detections, in the order in which they may choose, metres.
        begin, end: (N,) int64 rows of ``truth`` that are of the same sample and class.
        truth: (M, 2) float64 centres of annotations.
        thresholds: (T,) float64 distances; a match is strictly nearer.

    Returns:
        (T, N) int64 row of ``truth``, -1 for a detection without a match.
    """
    matches = np.full((len(thresholds), len(found)), -1, dtype=np.int64)
    taken = np.zeros((len(thresholds), len(truth)), dtype=np.bool_)
    for i in range(len(found)):
        first, last = begin[i], end[i]
        if first == last:
            continue
        offsets = truth[first:last] - found[i]
        distances = np.sqrt(offsets[:, 0] ** 2 + offsets[:, 1] ** 2)
        for t in range(len(thresholds)):
            nearest, limit = -1, thresholds[t]
            for j in range(last - first):
                if distances[j] < limit and not taken[t, first + j]:
                    nearest, limit = first + j, distances[j]
            if nearest >= 0:
                taken[t, nearest] = True
                matches[t, i] = nearest
    return matches
