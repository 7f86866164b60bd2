"""Depth supervision against a loop over points and cells."""

import numpy as np
import pytest
import torch
from mmdet3d.core.points import LiDARPoints
from pyquaternion import Quaternion

from mmdet3d_plugin.datasets.pipelines import PointsToDepthMap

STRIDE = 8
HEIGHT, WIDTH = 32, 48


def _sample(num_points=4000, seed=0):
    """Two cameras, two frames; the second frame is another place and must not matter."""
    rng = np.random.default_rng(seed)
    points = np.zeros((num_points, 5), np.float32)
    points[:, :3] = rng.uniform([-70, -70, -4], [70, 70, 4], (num_points, 3))
    points[:, 4] = rng.integers(0, 32, num_points)
    cam2lidar = np.tile(np.eye(4), (2, 2, 1, 1))
    for frame in range(2):
        for camera in range(2):
            turn = Quaternion(axis=[0, 0, 1], angle=0.4 + 2.5 * camera + frame) * Quaternion(
                axis=[1, 0, 0], degrees=-90
            )
            cam2lidar[frame, camera, :3, :3] = turn.rotation_matrix
            cam2lidar[frame, camera, :3, 3] = [0.5, 0.3 * camera, -0.2]
    angle = 0.05
    post_rots = np.tile(np.eye(3), (2, 2, 1, 1))
    post_rots[..., :2, :2] = 0.6 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    post_rots[:, 1, :2, 0] *= -1  # the second camera is mirrored
    post_trans = np.tile(np.array([1.3, -9.7, 0.0]), (2, 2, 1))
    post_trans[:, 1, 0] += WIDTH - 1
    intrins = np.tile(np.array([[60.0, 0, 40], [0, 60, 30], [0, 0, 1]]), (2, 2, 1, 1))
    return dict(
        lidar_points=LiDARPoints(points, points_dim=5),
        img=np.zeros((2, 2, 3, HEIGHT, WIDTH), np.float32),
        intrins=intrins,
        cam2lidar=cam2lidar,
        post_rots=post_rots,
        post_trans=post_trans,
    )


def _brute_force(sample, bounds):
    depth_map = np.zeros((2, HEIGHT // STRIDE, WIDTH // STRIDE))
    for camera in range(2):
        lidar2cam = np.linalg.inv(sample['cam2lidar'][0, camera])
        for point in sample['lidar_points'].tensor[:, :3].double().numpy():
            x, y, depth, _ = lidar2cam @ np.append(point, 1)
            if not bounds[0] <= depth < bounds[1]:
                continue
            k = sample['intrins'][0, camera]
            uv1 = np.array([k[0, 0] * x / depth + k[0, 2], k[1, 1] * y / depth + k[1, 2], 1])
            u, v, _ = sample['post_rots'][0, camera] @ uv1 + sample['post_trans'][0, camera]
            # the pixel a point falls on is the one whose centre is nearest
            column, row = int(np.floor(u + 0.5)), int(np.floor(v + 0.5))
            if not (0 <= column < WIDTH and 0 <= row < HEIGHT):
                continue
            cell = (camera, row // STRIDE, column // STRIDE)
            if depth_map[cell] == 0 or depth < depth_map[cell]:
                depth_map[cell] = depth
    return depth_map


@pytest.mark.parametrize('bounds', [(1.0, 60.0, 1.0), (5.0, 20.0, 0.5)])
def test_equals_brute_force(bounds):
    sample = _sample()
    expected = _brute_force(sample, bounds)
    assert (expected > 0).mean(axis=(1, 2)).min() > 0.3  # both cameras see something
    gt_depth = PointsToDepthMap(downsample=STRIDE, depth_bounds=bounds)(sample)['gt_depth']
    assert gt_depth.dtype == np.float32 and gt_depth.shape == (2, HEIGHT // STRIDE, WIDTH // STRIDE)
    np.testing.assert_allclose(gt_depth, expected, rtol=1e-5)


def _straight(points):
    """One camera at the LiDAR looking along its z, pixel = 10 x / z + 8."""
    return dict(
        lidar_points=LiDARPoints(torch.tensor(points), points_dim=3),
        img=np.zeros((1, 1, 3, 16, 16), np.float32),
        intrins=np.array([[[[10.0, 0, 8], [0, 10, 8], [0, 0, 1]]]]),
        cam2lidar=np.eye(4)[None, None],
        post_rots=np.eye(3)[None, None],
        post_trans=np.zeros((1, 1, 3)),
    )


def test_nearest_wins_and_cells_begin_half_a_pixel_before_their_first_centre():
    step = PointsToDepthMap(downsample=8)
    # u = 8 - 0.4 rounds to column 8 (second cell), u = 8 - 0.6 to column 7 (first cell)
    points = [[-0.4, 0.0, 10.0], [-0.8, 0.0, 20.0], [-0.6, 0.0, 10.0]]
    gt_depth = step(_straight(points))['gt_depth'][0]
    np.testing.assert_array_equal(gt_depth, [[0, 0], [10, 10]])
    # two points in one cell
    gt_depth = step(_straight([[0.0, 0.0, 30.0], [0.1, 0.1, 12.0], [0.0, 0.0, 20.0]]))['gt_depth'][0]
    np.testing.assert_array_equal(gt_depth, [[0, 0], [0, 12]])


def test_bounds_are_half_open_and_points_behind_or_in_the_plane_are_dropped():
    step = PointsToDepthMap(downsample=8, depth_bounds=(1.0, 60.0, 1.0))
    for depth, kept in ((1.0, 1.0), (0.99, 0), (60.0, 0), (59.5, 59.5), (-5.0, 0), (0.0, 0)):
        gt_depth = step(_straight([[0.0, 0.0, depth]]))['gt_depth']
        assert gt_depth.max() == pytest.approx(kept) and (gt_depth > 0).sum() == (kept > 0)


def test_no_points():
    sample = _straight([[0.0, 0.0, 1.0]])
    sample['lidar_points'] = LiDARPoints(torch.zeros(0, 3), points_dim=3)
    assert not PointsToDepthMap(downsample=8)(sample)['gt_depth'].any()


def test_what_other_steps_made_of_the_points_does_not_matter():
    expected = PointsToDepthMap(downsample=STRIDE)(_sample())['gt_depth']
    merged = LiDARPoints(torch.rand(7, 5), points_dim=5)  # sweeps, virtual points, another place
    sample = dict(_sample(), points=merged, bev_aug=np.diag([-1.0, 1.0, 1.0, 1.0]))
    np.testing.assert_array_equal(PointsToDepthMap(downsample=STRIDE)(sample)['gt_depth'], expected)


def test_a_missing_keyframe_is_an_error_that_names_the_step():
    sample = _sample()
    sample['points'] = sample.pop('lidar_points')
    with pytest.raises(KeyError, match='needs `lidar_points`: put LoadLidarPointsFromFile before it'):
        PointsToDepthMap(downsample=STRIDE)(sample)


def test_bad_sizes():
    with pytest.raises(ValueError, match='32x48 is not a multiple of downsample=10'):
        PointsToDepthMap(downsample=10)(_sample())
    with pytest.raises(ValueError, match='depth_bounds'):
        PointsToDepthMap(depth_bounds=(60.0, 1.0, 1.0))
