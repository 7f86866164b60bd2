"""Annotated boxes of a scene's samples in the frame of each sample's LiDAR, with velocities."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from dualdistill_runtime.poses import invert_pose, rotation_matrices

from .categories import detection_class
from .columns import Annotations, TableColumns
from .ground_velocities import ground_velocities


def boxes_of_samples(
    tables: TableColumns, samples: Sequence[int], lidar_to_global: np.ndarray, class_map: dict | None = None
) -> tuple[list[dict], Counter]:
    """Boxes of some samples.

    Args:
        tables: Tables.
        samples: K rows of the sample table.
        lidar_to_global: (K, 4, 4) of their LiDAR frames.
        class_map: See :func:`categories.detection_class`.

    Returns:
        For each sample ``gt_boxes`` (N, 7), ``gt_names``, ``gt_velocity`` (N, 2) in m/s (NaN where the tables cannot
        tell), ``num_lidar_pts``, ``num_radar_pts`` and ``valid_flag``; and how many boxes each category has.
    """
    annotations = tables.annotations
    rows_of_samples = annotations.of_samples(samples)
    rows = np.concatenate([*rows_of_samples, np.zeros(0, dtype=np.int64)]).astype(np.int64)
    poses = np.repeat(lidar_to_global, [len(part) for part in rows_of_samples], axis=0)
    times = np.array([sample['timestamp'] for sample in tables.sample], dtype=np.int64)
    categories = [tables.category[category]['name'] for category in annotations.category[rows]]
    lidar_points, radar_points = annotations.num_lidar_pts[rows], annotations.num_radar_pts[rows]
    columns = dict(
        gt_boxes=_boxes(annotations, rows, poses),
        gt_velocity=_to_lidar(velocities(annotations, times, rows), poses)[:, :2],
        num_lidar_pts=lidar_points,
        num_radar_pts=radar_points,
        valid_flag=(lidar_points + radar_points) > 0,
    )
    names = [detection_class(category, class_map) or category for category in categories]
    found, start = [], 0
    for part in rows_of_samples:
        chosen = slice(start, start + len(part))
        found.append({key: column[chosen] for key, column in columns.items()})
        found[-1]['gt_names'] = np.array(names[chosen], dtype=str)
        start += len(part)
    return found, Counter(categories)


def _boxes(annotations, rows, lidar_to_global):
    """(N, 7) gravity centre, length, width, height, and the yaw that the devkit's evaluation compares."""
    global_to_lidar = invert_pose(lidar_to_global)
    centres = annotations.translation[rows] - lidar_to_global[:, :3, 3]
    heading = rotation_matrices(annotations.rotation[rows])[:, :, 0]  # the box's x axis
    heading = (global_to_lidar[:, :3, :3] @ heading[:, :, None])[:, :2, 0]
    # numpy's arctan2 takes another way through the processor, and to another last bit, by where its memory lies
    yaw = np.array([math.atan2(y, x) for x, y in heading.tolist()])
    return np.column_stack([_to_lidar(centres, lidar_to_global), annotations.size[rows][:, [1, 0, 2]], yaw])


def _to_lidar(vectors, lidar_to_global):
    """Turn global vectors (N, 3) into LiDAR frames."""
    return (vectors[:, None] @ lidar_to_global[:, :3, :3])[:, 0]  # row vectors: v @ R is R^-1 v


def velocities(annotations: Annotations, times: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Velocities in the ground plane, from the same object's boxes before and after, as the devkit takes them.

    Args:
        annotations: All boxes.
        times: us of each row of the sample table.
        rows: (N,) boxes.

    Returns:
        (N, 3) m/s in the global frame, z 0; NaN for an object seen once or with a gap of more than 1.5 s.
    """
    seconds = 1e-6 * times[annotations.sample]
    before, after = annotations.previous[rows], annotations.following[rows]
    velocity = ground_velocities(annotations.translation, seconds, rows, before, after)
    # detection velocities live in the ground plane, and z differences are annotation noise
    return np.column_stack([velocity, np.zeros(len(rows))])
