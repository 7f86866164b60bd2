"""Velocities of annotated objects from their own boxes before and after, as the devkit's ``box_velocity`` has them."""

from __future__ import annotations

import numpy as np

_LONGEST_GAP = 1.5  # s between two boxes that still tell a velocity; twice as much over both sides


def ground_velocities(
    centres: np.ndarray, seconds: np.ndarray, rows: np.ndarray, before: np.ndarray, after: np.ndarray
) -> np.ndarray:
    """Velocities in the ground plane.

    Args:
        centres: (M, 2 or more) of all boxes, global frame, metres.
        seconds: (M,) time of each box.
        rows: (N,) boxes whose velocity is wanted.
        before, after: (N,) rows of the same object's boxes in the samples before and after; -1 without one.

    Returns:
        (N, 2) float64 m/s; NaN for an object seen once or with too long a gap.
    """
    first, last = np.where(before < 0, rows, before), np.where(after < 0, rows, after)
    elapsed = seconds[last] - seconds[first]
    longest = np.where((before >= 0) & (after >= 0), 2 * _LONGEST_GAP, _LONGEST_GAP)
    known = (first != last) & (elapsed <= longest)
    velocity = np.full((len(rows), 2), np.nan)
    velocity[known] = (centres[last] - centres[first])[known, :2] / elapsed[known, None]
    return velocity
