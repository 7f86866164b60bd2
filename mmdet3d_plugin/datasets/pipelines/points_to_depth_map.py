"""Sparse depth supervision from the keyframe's LiDAR points."""

import numpy as np
from mmdet3d.datasets.builder import PIPELINES


@PIPELINES.register_module()
class PointsToDepthMap:
    """Projects the keyframe's points into the augmented current images; each cell keeps its nearest depth.

    Cell (r, c) holds the pixels whose centres lie in rows r*d .. r*d + d-1 and columns c*d .. c*d + d-1, with
    d = ``downsample``. Depth is along the optical axis, in metres, as in BEVDepth's supervision.

    It reads the keyframe as the LiDAR measured it, not ``points``: sweeps of other moments would smear moving objects,
    and the BEV augmentation moves points away from the cameras. So it may stand anywhere after its inputs.

    Reads: ``lidar_points`` (LiDARPoints, current LiDAR frame; written by LoadLidarPointsFromFile), ``img`` (for its
    size), ``intrins``, ``cam2lidar``, ``post_rots``, ``post_trans`` (frame 0 of each).

    Writes:
        gt_depth (ndarray): (N, H/d, W/d) float32, m; 0 where no point falls.

    Args:
        downsample (int): image px per cell side, i.e. the stride of the depth prediction.
        depth_bounds (tuple[float]): (min, max, step) of the depth bins; points outside [min, max) are dropped.

    Raises:
        KeyError: no step has written ``lidar_points``.
        ValueError: the image size is not a multiple of ``downsample``.
    """

    def __init__(self, downsample=16, depth_bounds=(1.0, 60.0, 1.0)):
        self.downsample = downsample
        self.min_depth, self.max_depth = depth_bounds[:2]
        if not 0 < self.min_depth < self.max_depth:
            raise ValueError(f'depth_bounds must be (min, max, step) with 0 < min < max, got {depth_bounds}')

    def __call__(self, results):
        height, width = results['img'].shape[-2:]
        if height % self.downsample or width % self.downsample:
            raise ValueError(f'image size {height}x{width} is not a multiple of downsample={self.downsample}')
        if 'lidar_points' not in results:
            raise KeyError('PointsToDepthMap needs `lidar_points`: put LoadLidarPointsFromFile before it')
        points = results['lidar_points'].tensor.numpy()
        rows, cols = height // self.downsample, width // self.downsample
        gt_depth = np.full((results['img'].shape[1], rows, cols), np.inf, dtype=np.float32)
        homogeneous = np.concatenate([points[:, :3], np.ones((len(points), 1))], axis=1).T
        for nearest, projection in zip(gt_depth, self._projections(results)):
            u_depth, v_depth, depth = projection @ homogeneous
            # most points are behind a camera or beside it: drop them before any further arithmetic
            keep = np.flatnonzero((depth >= self.min_depth) & (depth < self.max_depth))
            depth = depth[keep]
            # + 0.5: pixel centres are whole numbers, so the first cell spans [-0.5, downsample - 0.5)
            col = np.floor((u_depth[keep] / depth + 0.5) / self.downsample)
            row = np.floor((v_depth[keep] / depth + 0.5) / self.downsample)
            seen = (col >= 0) & (col < cols) & (row >= 0) & (row < rows)
            cell = (row[seen].astype(np.int64), col[seen].astype(np.int64))
            np.minimum.at(nearest, cell, depth[seen].astype(np.float32))
        gt_depth[np.isinf(gt_depth)] = 0
        results['gt_depth'] = gt_depth
        return results

    @staticmethod
    def _projections(results):
        """(N, 3, 4) float64: homogeneous LiDAR point -> (u * depth, v * depth, depth) of the augmented image."""
        affine = results['post_rots'][0].copy()
        affine[:, :2, 2] = results['post_trans'][0, :, :2]
        return affine @ results['intrins'][0] @ np.linalg.inv(results['cam2lidar'][0])[:, :3]

    def __repr__(self):
        return (
            f'{type(self).__name__}(downsample={self.downsample}, '
            f'depth_bounds=({self.min_depth}, {self.max_depth}, ...))'
        )
