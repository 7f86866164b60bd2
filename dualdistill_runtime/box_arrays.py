"""Boxes of many samples as arrays, one row a box: what the evaluation works on instead of an object for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True)
class BoxArrays:
    """Detections or annotations in the global frame, sample by sample.

    Attributes:
        sample: (N,) int64, number of the sample, never falling.
        label: (N,) int64 index into ``DETECTION_CLASSES``; -1 for what is no detection class.
        score: (N,) float64; -1 for annotations.
        translation: (N, 3) float64, gravity centre, metres.
        size: (N, 3) float64, width, length, height, metres.
        rotation: (N, 4) float64, quaternion w, x, y, z.
        velocity: (N, 2) float64, m/s, NaN where unknown.
        attribute: (N,) int64 index into the devkit's ``ATTRIBUTE_NAMES``; -1 for none.
        num_points: (N,) int64, LiDAR and radar points of an annotation; -1 for detections.
    """

    sample: np.ndarray
    label: np.ndarray
    score: np.ndarray
    translation: np.ndarray
    size: np.ndarray
    rotation: np.ndarray
    velocity: np.ndarray
    attribute: np.ndarray
    num_points: np.ndarray

    def __len__(self) -> int:
        return len(self.sample)

    def take(self, rows: np.ndarray | slice) -> BoxArrays:
        """The boxes of these rows: indices, a mask or a slice."""
        return BoxArrays(**{name: values[rows] for name, values in self.columns().items()})

    def columns(self) -> dict[str, np.ndarray]:
        """The arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def of_samples(self, count: int) -> np.ndarray:
        """(count + 1,) rows at which the boxes of the samples 0 ... count begin."""
        return np.searchsorted(self.sample, np.arange(count + 1))

    @staticmethod
    def concatenate(parts: Sequence[BoxArrays]) -> BoxArrays:
        """The boxes of at least one part, one after the other."""
        names = parts[0].columns()
        return BoxArrays(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def hamilton_product(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(N, 4) products of quaternions (N, 4) w, x, y, z: the second rotation, then the first."""
    a, b, c, d = first.T
    w, x, y, z = second.T
    return np.stack(
        [a * w - b * x - c * y - d * z, a * x + b * w + c * z - d * y, a * y - b * z + c * w + d * x,
         a * z + b * y - c * x + d * w],
        axis=1,
    )  # fmt: skip


def yaws(quaternions: np.ndarray) -> np.ndarray:
    """(N,) rad: where the x axis of quaternions (N, 4) points in the ground plane, as the devkit compares headings."""
    w, x, y, z = quaternions.T
    return np.arctan2(2 * (x * y + w * z), w * w + x * x - y * y - z * z)
