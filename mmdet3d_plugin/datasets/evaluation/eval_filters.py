"""Which boxes count: in range, with a point, not in a bike rack."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dualdistill_runtime.box_arrays import BoxArrays
from dualdistill_runtime.detection_classes import DETECTION_CLASSES
from dualdistill_runtime.global_boxes import ground_distance
from dualdistill_runtime.poses import rotation_matrices

_TWO_WHEELS = [DETECTION_CLASSES.index(name) for name in ('bicycle', 'motorcycle')]


def counting(boxes: BoxArrays, ego: np.ndarray, class_range: Mapping[str, float], racks: BoxArrays) -> BoxArrays:
    """The boxes that count, of annotations or detections.

    Args:
        boxes: Of detection classes.
        ego: (S, 2 or more) place of the ego vehicle at each sample, global, metres.
        class_range: Distance of each class's boxes from it, in the ground plane, below which they count, metres.
        racks: Bike racks of the samples. Bicycles and motorcycles with their centre in one do not count.
    """
    limits = np.array([class_range[name] for name in DETECTION_CLASSES], dtype=np.float64)
    near = ground_distance(boxes.translation, ego[boxes.sample]) < limits[boxes.label]
    return boxes.take(near & (boxes.num_points != 0) & ~in_racks(boxes, racks))


def in_racks(boxes: BoxArrays, racks: BoxArrays) -> np.ndarray:
    """(N,) bool: bicycles and motorcycles whose centre is in or on a bike rack of their sample."""
    found = np.zeros(len(boxes), dtype=bool)
    rows = np.flatnonzero(np.isin(boxes.label, _TWO_WHEELS))
    begin, end = (np.searchsorted(racks.sample, boxes.sample[rows], side=side) for side in ('left', 'right'))
    rotations = rotation_matrices(racks.rotation)
    for number in range(int((end - begin).max(initial=0))):  # the first rack of every sample, the second ...
        there = begin + number < end
        box, rack = rows[there], begin[there] + number
        offset = boxes.translation[box] - racks.translation[rack]
        local = np.einsum('nji,nj->ni', rotations[rack], offset)
        found[box] |= (np.abs(local) <= racks.size[rack][:, [1, 0, 2]] / 2).all(axis=1)
    return found
