"""One augmentation of the bird's-eye view for everything that lives in it."""

import math
import random

import numpy as np
import torch
from mmdet3d.datasets.builder import PIPELINES


@PIPELINES.register_module()
class GlobalBEVAug:
    """Flips, rotates and scales points, boxes, velocities and motion by one and the same (4, 4) matrix.

    The matrix is scale * rotation(z) * flip about the LiDAR origin, p' = A p; it is drawn once per sample. Everything
    is derived from the matrix itself rather than from separate flip and rotate rules, so that a LiDAR teacher and a
    camera student see an object in the same cell whatever the draw, mirrored ones (det A < 0) included.

    What is measured stays: ``cam2lidar`` and ``lidar_points`` are as mounted and as measured. A model places the
    cameras of frame f in the augmented map by cam2bev = bev_aug @ cam2lidar[f]; every frame of a sample has the same A.

    Reads and rewrites, each when present:
        points (LiDARPoints): columns 0..2.
        gt_bboxes_3d (LiDARInstance3DBoxes): centre, size, yaw and, with nine columns, velocity.
        frame2cur (ndarray): (F, 4, 4), becomes A frame2cur A^-1, augmented frame f -> augmented current frame.

    Writes:
        bev_aug (ndarray): (4, 4) float64, A; identity when ``test_mode``.

    Args:
        rot_range (tuple[float]): degrees, counter-clockwise seen from above.
        scale_range (tuple[float]): isotropic, heights included.
        flip_x_prob, flip_y_prob (float): probability of negating x, or y.
        test_mode (bool): identity.

    Raises:
        ValueError: a second GlobalBEVAug in one pipeline.
    """

    def __init__(
        self, rot_range=(-22.5, 22.5), scale_range=(0.95, 1.05), flip_x_prob=0.5, flip_y_prob=0.5, test_mode=False
    ):
        self.rot_range = tuple(rot_range)
        self.scale_range = tuple(scale_range)
        self.flip_x_prob = flip_x_prob
        self.flip_y_prob = flip_y_prob
        self.test_mode = test_mode
        if min(self.scale_range) <= 0:
            raise ValueError(f'scale_range must be positive, got {scale_range}')

    def __call__(self, results):
        if 'bev_aug' in results:
            raise ValueError('the sample already has a BEV augmentation: keep a single GlobalBEVAug in the pipeline')
        matrix = np.eye(4) if self.test_mode else self._draw()
        results['bev_aug'] = matrix
        if 'points' in results:
            points = results['points']
            results['points'] = points.new_point(transform_points(points.tensor, matrix))
        if 'gt_bboxes_3d' in results:
            boxes = results['gt_bboxes_3d']
            results['gt_bboxes_3d'] = boxes.new_box(transform_boxes(boxes.tensor, matrix))
        if 'frame2cur' in results:
            results['frame2cur'] = matrix @ results['frame2cur'] @ np.linalg.inv(matrix)
        return results

    def _draw(self):
        angle = math.radians(random.uniform(*self.rot_range))
        scale = random.uniform(*self.scale_range)
        flip_x = random.random() < self.flip_x_prob
        flip_y = random.random() < self.flip_y_prob
        return bev_matrix(angle, scale, flip_x, flip_y)

    def __repr__(self):
        return (
            f'{type(self).__name__}(rot_range={self.rot_range}, scale_range={self.scale_range}, '
            f'flip_x_prob={self.flip_x_prob}, flip_y_prob={self.flip_y_prob}, test_mode={self.test_mode})'
        )


def bev_matrix(angle, scale, flip_x, flip_y):
    """(4, 4) float64: negate x and/or y, then turn by ``angle`` (rad, counter-clockwise), then scale."""
    cos, sin = math.cos(angle), math.sin(angle)
    matrix = np.diag([scale, scale, scale, 1.0])
    matrix[:2, :2] = (
        scale * np.array([[cos, -sin], [sin, cos]]) @ np.diag([-1.0 if flip_x else 1.0, -1.0 if flip_y else 1.0])
    )
    return matrix


def transform_points(points, matrix):
    """New (M, D) float32 points with columns 0..2 moved by ``matrix`` (4, 4) and the others as they were."""
    matrix = torch.from_numpy(matrix).to(points)
    moved = points.clone()
    moved[:, :3] = torch.addmm(matrix[:3, 3], points[:, :3], matrix[:3, :3].T)
    return moved


def transform_boxes(boxes, matrix):
    """Moves LiDAR boxes by a similarity that keeps z upright.

    Args:
        boxes (Tensor): (K, 7) or (K, 9) bottom-centre x, y, z, length, width, height, yaw (rad)[, vx, vy (m/s)].
        matrix (ndarray): (4, 4).

    Returns:
        Tensor: like ``boxes``; yaw in [-pi, pi], the angle of the moved heading vector, which is right for mirrored
        boxes too.
    """
    matrix = torch.from_numpy(matrix)
    source = boxes.double()
    linear, planar = matrix[:3, :3], matrix[:2, :2]
    moved = source.clone()
    moved[:, :3] = source[:, :3] @ linear.T + matrix[:3, 3]
    moved[:, 3:6] = source[:, 3:6] * torch.linalg.det(linear).abs() ** (1 / 3)
    heading = torch.stack([source[:, 6].cos(), source[:, 6].sin()], dim=1) @ planar.T
    moved[:, 6] = torch.atan2(heading[:, 1], heading[:, 0])
    if boxes.shape[1] > 7:
        moved[:, 7:9] = source[:, 7:9] @ planar.T
    return moved.to(boxes)
