"""What a detector that is tested frame by frame remembers of the frame before, and when it must not."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from dualdistill_runtime.frame_order import FramesOutOfOrder, follows

META_KEYS = ('sample_idx', 'scene_token', 'timestamp', 'ego2global', 'lidar2ego')


@dataclass(frozen=True)
class FramePose:
    """Which frame it was, and where the car stood.

    Attributes:
        scene, sample: tokens.
        timestamp: seconds.
        ego2global: (4, 4) float64.
        bev2global: (4, 4) float64, from the augmented BEV frame.
    """

    scene: str
    sample: str
    timestamp: float
    ego2global: np.ndarray
    bev2global: np.ndarray

    @classmethod
    def of(cls, meta: Mapping[str, Any], bev_aug: np.ndarray) -> FramePose:
        """Pose of a sample.

        Args:
            meta: has the keys :data:`META_KEYS`; ``ego2global`` is (4, 4), or (F, 4, 4) with the current frame first.
            bev_aug: (4, 4).

        Raises:
            KeyError: names a key that is missing.
        """
        missing = [key for key in META_KEYS if key not in meta]
        if missing:
            raise KeyError(f'img_metas lack {missing}, which history needs: add them to FormatBEVInputs.meta_keys')
        ego2global = np.asarray(meta['ego2global'], dtype=np.float64).reshape(-1, 4, 4)[0]
        lidar2ego, bev_aug = (np.asarray(matrix, dtype=np.float64) for matrix in (meta['lidar2ego'], bev_aug))
        bev2global = ego2global @ lidar2ego @ np.linalg.inv(bev_aug)
        return cls(meta['scene_token'], meta['sample_idx'], float(meta['timestamp']), ego2global, bev2global)

    def moved_since(self, previous: FramePose) -> np.ndarray:
        """(4, 4) previous augmented BEV frame -> this one, metres."""
        return np.linalg.solve(self.bev2global, previous.bev2global)

    def translation_since(self, previous: FramePose) -> np.ndarray:
        """(3,) of the ego, metres, global axes."""
        return self.ego2global[:3, 3] - previous.ego2global[:3, 3]

    def yaw_change_since(self, previous: FramePose, wrap: bool = True) -> float:
        """Degrees that the ego turned counter-clockwise.

        Args:
            previous: the earlier frame.
            wrap: in (-180, 180]; else the difference of two angles in [0, 360), as released.
        """
        change = self._yaw - previous._yaw
        return 180.0 - (180.0 - change) % 360.0 if wrap else change

    @property
    def _yaw(self):
        return math.degrees(math.atan2(self.ego2global[1, 0], self.ego2global[0, 0])) % 360.0


@dataclass(frozen=True)
class RememberedFrame:
    """BEV map (1, C, H, W) of a frame and its pose."""

    bev: Tensor
    pose: FramePose


class SceneMemory:
    """Holds the last frame. A new scene, a gap, or a step back in time starts anew.

    The first sample that does not come in order is warned of, once until :meth:`reset`: without the frame before it
    the detector is worse than it can be, in silence.
    """

    def __init__(self) -> None:
        self._frame: RememberedFrame | None = None
        self._left: set[str] = set()
        self._warned = False

    def reset(self) -> None:
        """Forget everything, warnings included."""
        self._frame, self._left, self._warned = None, set(), False

    def recall(self, pose: FramePose) -> RememberedFrame | None:
        """The frame right before ``pose``; None at the start of a scene and after a break."""
        before = self._frame
        if before is None:
            return None
        if pose.scene != before.pose.scene:
            if pose.scene in self._left:
                self._warn(pose, 'comes back to a scene that was left before')
            self._left.add(before.pose.scene)
            return None
        seconds = pose.timestamp - before.pose.timestamp
        if follows(seconds):
            return before
        self._warn(pose, f'comes {seconds:g} s after the sample before it, {before.pose.sample}')
        return None

    def store(self, bev: Tensor, pose: FramePose) -> None:
        """Remember a frame's map, (1, C, H, W)."""
        self._frame = RememberedFrame(bev.detach(), pose)

    def _warn(self, pose, what):
        if not self._warned:
            warnings.warn(
                f'sample {pose.sample} of scene {pose.scene} {what}: history starts anew, here and wherever else this '
                f'happens. Test the samples in order (no shuffling, load_interval=1, whole scenes in one process), or '
                f'scores are lower than they should be.',
                FramesOutOfOrder,
                stacklevel=2,
            )
        self._warned = True
