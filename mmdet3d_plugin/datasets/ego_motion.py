"""Poses of the car at the keyframes of each scene of an info file."""

from __future__ import annotations

import numpy as np

from dualdistill_runtime.ego_motion import ScenePoses
from dualdistill_runtime.poses import pose_matrix

from .infos.info_columns import InfoColumns


def poses_by_scene(columns: InfoColumns) -> dict[str, ScenePoses]:
    """Poses of every scene, by its token."""
    poses = pose_matrix(columns.translation, columns.rotation)
    scenes = {}
    for rows in columns.rows_of_scenes():
        rows = rows[np.argsort(columns.timestamp[rows], kind='stable')]
        scene = columns.scene[rows[0]]
        scenes[columns.scene_tokens[scene]] = ScenePoses(
            name=columns.scene_names[scene],
            times=columns.timestamp[rows],
            ego2global=poses[rows],
            quaternions=columns.rotation[rows],
        )
    return scenes
