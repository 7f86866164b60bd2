"""Where the car of a made-up batch stood, and the motion vector that goes with it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dualdistill_runtime.ego_motion import ScenePoses

from ..datasets.pipelines.load_ego_motion import LoadEgoMotion

LIDAR2EGO = np.array([[0.0, 1, 0, 0.9], [-1, 0, 0, 0], [0, 0, 1, 1.8], [0, 0, 0, 1]])  # (right, ahead) -> (ahead, left)
FRAME_SECONDS = 0.5  # between keyframes


def motion_of_frames(lidar2cur: Tensor, seconds: float) -> tuple[dict[str, Tensor], dict[str, np.ndarray]]:
    """What a detector that remembers frames reads of a queue of keyframes of one scene.

    Args:
        lidar2cur: (F, 4, 4) LiDAR frame of each keyframe, the current one first, then newest to oldest -> current one.
        seconds: time of the current one.

    Returns:
        ``can_bus`` (F, 18) float32 and ``has_prev`` (F,) bool for the batch; ``ego2global`` (F, 4, 4) and ``lidar2ego``
        (4, 4) float64 for the metas. The car stands at the origin of the global frame now.
    """
    ego2global = LIDAR2EGO @ lidar2cur.double().numpy() @ np.linalg.inv(LIDAR2EGO)
    times = seconds - FRAME_SECONDS * np.arange(len(ego2global))
    has_prev = np.arange(len(ego2global)) < len(ego2global) - 1
    stamps = np.round(times[::-1] * 1e6).astype(np.int64)
    scene = ScenePoses(None, stamps, ego2global[::-1], np.zeros((len(stamps), 4)))
    frames = dict(frame_times=times, ego2global=ego2global, has_prev=has_prev, scene_poses=scene)
    can_bus = LoadEgoMotion(motion_source='poses')(frames)['can_bus']
    keys = dict(can_bus=torch.from_numpy(can_bus).float(), has_prev=torch.from_numpy(has_prev))
    return keys, dict(ego2global=ego2global, lidar2ego=LIDAR2EGO)
