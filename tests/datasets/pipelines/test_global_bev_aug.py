"""One matrix for points, boxes, velocities and cameras, mirrored draws included."""

import math
import random

import numpy as np
import pytest
import torch
from mmdet3d.core.bbox import LiDARInstance3DBoxes
from mmdet3d.core.points import LiDARPoints

from mmdet3d_plugin.datasets.pipelines import GlobalBEVAug
from mmdet3d_plugin.datasets.pipelines.global_bev_aug import bev_matrix, transform_boxes

FLIPS = [(False, False), (True, False), (False, True), (True, True)]


def _boxes(count=20, seed=0):
    rng = np.random.default_rng(seed)
    tensor = np.zeros((count, 9), np.float32)
    tensor[:, :3] = rng.uniform([-50, -50, -3], [50, 50, 1], (count, 3))
    tensor[:, 3:6] = rng.uniform(0.5, 12, (count, 3))
    tensor[:, 6] = rng.uniform(-math.pi, math.pi, count)
    tensor[:, 7:] = rng.normal(0, 5, (count, 2))
    return LiDARInstance3DBoxes(tensor, box_dim=9)


def _apply(matrix, points):
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def _fixed(flip_x, flip_y, angle=17.0, scale=1.04):
    return GlobalBEVAug((angle, angle), (scale, scale), float(flip_x), float(flip_y))


def test_matrix_by_hand():
    # flip x, then a quarter turn counter-clockwise, then x2: (1, 3) -> (-1, 3) -> (-3, -1) -> (-6, -2)
    matrix = bev_matrix(math.pi / 2, 2.0, True, False)
    np.testing.assert_allclose(matrix @ [1, 3, 5, 1], [-6, -2, 10, 1], atol=1e-12)


def test_boxes_by_hand():
    # heading +30 degrees; mirrored in y it is -30, mirrored in x 150, both 210 = -150; then + 10
    box = torch.tensor([[4.0, 2.0, -1.0, 4.0, 2.0, 1.5, math.radians(30), 3.0, 1.0]])
    for flips, yaw, velocity in (
        ((False, False), 40, (3, 1)),
        ((False, True), -20, (3, -1)),
        ((True, False), 160, (-3, 1)),
        ((True, True), -140, (-3, -1)),
    ):
        moved = transform_boxes(box, bev_matrix(math.radians(10), 1.1, *flips))[0]
        assert math.degrees(moved[6]) == pytest.approx(yaw, abs=1e-3)
        np.testing.assert_allclose(moved[3:6], 1.1 * box[0, 3:6], rtol=1e-6)
        assert moved[2] == pytest.approx(-1.1)
        cos, sin = 1.1 * math.cos(math.radians(10)), 1.1 * math.sin(math.radians(10))
        turned = [cos * velocity[0] - sin * velocity[1], sin * velocity[0] + cos * velocity[1]]
        np.testing.assert_allclose(moved[7:], turned, rtol=1e-5)


@pytest.mark.parametrize('flip_x, flip_y', FLIPS)
def test_corners_of_moved_boxes_are_the_moved_corners(flip_x, flip_y):
    before = _boxes()
    results = _fixed(flip_x, flip_y)(dict(gt_bboxes_3d=_boxes()))
    after, matrix = results['gt_bboxes_3d'], results['bev_aug']
    assert isinstance(after, LiDARInstance3DBoxes) and after.tensor.shape == (20, 9)
    expected = _apply(matrix, before.corners.double().numpy())
    # a mirrored box lists its corners in another order: each one must be among the box's own
    distance = np.linalg.norm(after.corners.double().numpy()[:, :, None] - expected[:, None], axis=-1)
    assert distance.min(axis=1).max() < 1e-4 and distance.min(axis=2).max() < 1e-4
    # the front face goes to the front face, which a yaw off by pi would not show in the set of corners
    nose = before.gravity_center.double().numpy()
    heading = np.stack([np.cos(before.yaw), np.sin(before.yaw), np.zeros(20)], axis=1)
    nose = nose + heading * before.tensor[:, 3:4].double().numpy() / 2
    moved_heading = np.stack([np.cos(after.yaw), np.sin(after.yaw), np.zeros(20)], axis=1)
    moved_nose = after.gravity_center.double().numpy() + moved_heading * after.tensor[:, 3:4].double().numpy() / 2
    np.testing.assert_allclose(moved_nose, _apply(matrix, nose), atol=1e-4)


@pytest.mark.parametrize('flip_x, flip_y', FLIPS)
def test_velocity_is_the_difference_of_moved_positions(flip_x, flip_y):
    before = _boxes()
    results = _fixed(flip_x, flip_y)(dict(gt_bboxes_3d=_boxes()))
    start = before.gravity_center.double().numpy()
    velocity = np.pad(before.tensor[:, 7:9].double().numpy(), ((0, 0), (0, 1)))
    moved = _apply(results['bev_aug'], start + velocity) - _apply(results['bev_aug'], start)
    np.testing.assert_allclose(results['gt_bboxes_3d'].tensor[:, 7:9], moved[:, :2], atol=1e-4)


@pytest.mark.parametrize('flip_x, flip_y', FLIPS)
def test_points_cameras_and_motion_follow_the_same_matrix(flip_x, flip_y):
    rng = np.random.default_rng(1)
    points = rng.normal(0, 20, (100, 5)).astype(np.float32)
    cam2lidar = np.tile(np.eye(4), (2, 3, 1, 1))
    cam2lidar[..., :3, :3] = np.linalg.qr(rng.normal(size=(2, 3, 3, 3)))[0]
    cam2lidar[..., :3, 3] = rng.normal(size=(2, 3, 3))
    motion = np.eye(4)
    motion[:2, :2] = [[math.cos(0.1), -math.sin(0.1)], [math.sin(0.1), math.cos(0.1)]]
    motion[:3, 3] = [-2, 0.3, 0.05]
    frame2cur = np.stack([np.eye(4), motion])
    results = _fixed(flip_x, flip_y)(
        dict(points=LiDARPoints(points, points_dim=5), cam2lidar=cam2lidar.copy(), frame2cur=frame2cur)
    )
    np.testing.assert_array_equal(results['cam2lidar'], cam2lidar)
    matrix = results['bev_aug']
    assert np.sign(np.linalg.det(matrix)) == (-1) ** (flip_x + flip_y)
    np.testing.assert_allclose(results['points'].tensor[:, :3], _apply(matrix, points[:, :3]), atol=1e-4)
    np.testing.assert_array_equal(results['points'].tensor[:, 3:], points[:, 3:])
    in_camera = rng.normal(size=4)
    in_camera[3] = 1
    for frame in range(2):
        for camera in range(3):
            # a place of frame f seen by its camera, moved to the current frame and then augmented, is where the
            # camera's augmented place is moved to
            expected = matrix @ frame2cur[frame] @ cam2lidar[frame, camera] @ in_camera
            placed = matrix @ results['cam2lidar'][frame, camera] @ in_camera
            np.testing.assert_allclose(results['frame2cur'][frame] @ placed, expected, atol=1e-12)
    # a point given in the previous augmented frame, moved over, is the augmented current point
    previous = np.array([7.0, -3.0, 0.5, 1.0])
    np.testing.assert_allclose(
        results['frame2cur'][1] @ matrix @ previous, matrix @ frame2cur[1] @ previous, atol=1e-12
    )
    np.testing.assert_allclose(results['frame2cur'][0], np.eye(4), atol=1e-12)


def test_points_only_and_cameras_only():
    points = GlobalBEVAug()(dict(points=LiDARPoints(torch.rand(5, 5), points_dim=5)))
    assert set(points) == {'points', 'bev_aug'}
    cameras = GlobalBEVAug()(dict(cam2lidar=np.eye(4)[None, None], frame2cur=np.eye(4)[None]))
    assert set(cameras) == {'cam2lidar', 'frame2cur', 'bev_aug'}


def test_boxes_without_velocity_and_no_boxes():
    boxes = LiDARInstance3DBoxes(torch.rand(3, 7))
    assert GlobalBEVAug()(dict(gt_bboxes_3d=boxes))['gt_bboxes_3d'].tensor.shape == (3, 7)
    empty = LiDARInstance3DBoxes(torch.zeros(0, 9), box_dim=9)
    assert GlobalBEVAug()(dict(gt_bboxes_3d=empty))['gt_bboxes_3d'].tensor.shape == (0, 9)


def test_the_annotation_of_the_data_set_is_left_alone():
    boxes = _boxes()
    before = boxes.tensor.clone()
    GlobalBEVAug()(dict(gt_bboxes_3d=boxes))
    assert torch.equal(boxes.tensor, before)


def test_test_mode_is_identity():
    results = GlobalBEVAug(test_mode=True)(
        dict(gt_bboxes_3d=_boxes(), cam2lidar=np.eye(4)[None, None] * 2, frame2cur=np.eye(4)[None])
    )
    np.testing.assert_array_equal(results['bev_aug'], np.eye(4))
    np.testing.assert_array_equal(results['cam2lidar'], np.eye(4)[None, None] * 2)
    np.testing.assert_allclose(results['gt_bboxes_3d'].tensor, _boxes().tensor, atol=1e-6)


def test_ranges_and_seed():
    step = GlobalBEVAug()

    def draw():
        random.seed(5)
        return [step({})['bev_aug'] for _ in range(300)]

    matrices = draw()
    np.testing.assert_array_equal(matrices, draw())
    scales = [matrix[2, 2] for matrix in matrices]
    assert 0.95 <= min(scales) < 0.96 and 1.04 < max(scales) <= 1.05
    signs = dict.fromkeys(FLIPS, 0)
    for matrix, scale in zip(matrices, scales):
        planar = matrix[:2, :2] / scale
        # within +-22.5 degrees the diagonal keeps the signs of the flips
        flips = (planar[0, 0] < 0, planar[1, 1] < 0)
        signs[flips] += 1
        turn = planar @ np.diag([-1.0 if flips[0] else 1.0, -1.0 if flips[1] else 1.0])
        assert abs(math.degrees(math.atan2(turn[1, 0], turn[0, 0]))) <= 22.5
    assert min(signs.values()) > 40


def test_errors():
    with pytest.raises(ValueError, match='single GlobalBEVAug'):
        GlobalBEVAug()(dict(bev_aug=np.eye(4)))
    with pytest.raises(ValueError, match='scale_range'):
        GlobalBEVAug(scale_range=(0.0, 1.0))
