"""The cameras of one moment as a network sees them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Rig:
    """N cameras in the order of the network's camera axis, float64.

    Attributes:
        intrins: (N, 3, 3) of the original images, pixels.
        post_rots: (N, 3, 3) and post_trans: (N, 3), what resizing and cropping did to a pixel:
            ``uv1_new = post_rots @ uv1 + post_trans``.
        cam2lidar: (N, 4, 4) camera -> LiDAR frame of this moment, metres.
    """

    intrins: np.ndarray
    post_rots: np.ndarray
    post_trans: np.ndarray
    cam2lidar: np.ndarray

    def flat_numbers(self) -> np.ndarray:
        """(N, 33) float32, what a camera-aware depth net reads: intrinsics 9, post-rot 9, post-trans 3, rotation 9,
        translation 3."""
        mounts = (self.cam2lidar[:, :3, :3], self.cam2lidar[:, :3, 3])
        parts = (self.intrins, self.post_rots, self.post_trans, *mounts)
        return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1).astype(np.float32)

    def projection(self) -> np.ndarray:
        """(N, 3, 4) float64: (x, y, z, 1), metres, goes to (u d, v d, d); u, v in pixels of the network's images."""
        affine = np.concatenate(
            [self.post_rots[..., :2], (self.post_rots[..., 2] + self.post_trans)[..., None]], axis=-1
        )
        return affine @ self.intrins @ np.linalg.inv(self.cam2lidar)[:, :3]
