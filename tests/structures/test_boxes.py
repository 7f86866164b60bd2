"""Corners, footprints and the way from a results file back to the LiDAR frame."""

import json

import numpy as np
import pytest
from pyquaternion import Quaternion

from mmdet3d_plugin.structures.boxes import EDGES, Boxes, box_corners, footprint
from mmdet3d_plugin.visualization.results import (
    boxes_in_lidar_frame,
    ground_truth_boxes,
    lidar_to_global,
    load_results,
)

BOX = np.array([[10.0, 2.0, 1.0, 4.0, 2.0, 1.0, 0.0]])


def turned(yaw):
    box = BOX.copy()
    box[0, 6] = yaw
    return box


def test_corners_of_a_straight_box():
    corners = box_corners(BOX)[0]
    assert corners.shape == (8, 3)
    np.testing.assert_allclose(corners[0], [8, 1, 0.5])
    np.testing.assert_allclose(corners[7], [12, 3, 1.5])
    np.testing.assert_allclose(corners[4:, 0], 12)


def test_quarter_turn_points_the_front_to_y():
    corners = box_corners(turned(np.pi / 2))[0]
    np.testing.assert_allclose(corners[4:, 1], 4)
    np.testing.assert_allclose(sorted(corners[:, 0]), [9] * 4 + [11] * 4)


def test_twelve_edges_with_the_box_lengths():
    corners = box_corners(turned(0.3))[0]
    lengths = np.linalg.norm(corners[EDGES[:, 0]] - corners[EDGES[:, 1]], axis=1)
    np.testing.assert_allclose(sorted(lengths), [1] * 4 + [2] * 4 + [4] * 4)


def test_footprint_and_heading():
    rectangle, heading = footprint(turned(np.pi))
    np.testing.assert_allclose(rectangle[0], [[12, 3], [8, 3], [8, 1], [12, 1]], atol=1e-12)
    np.testing.assert_allclose(heading[0], [[10, 2], [8, 2]], atol=1e-12)


def test_no_boxes():
    assert box_corners(np.zeros((0, 7))).shape == (0, 8, 3)
    assert footprint(np.zeros((0, 7)))[0].shape == (0, 4, 2)


def test_boxes_check_their_shapes():
    with pytest.raises(ValueError, match=r'\(N, 7\)'):
        Boxes(np.zeros((1, 9)), ['car'])
    with pytest.raises(ValueError, match='equally many'):
        Boxes(BOX, [])
    kept = Boxes(np.repeat(BOX, 2, axis=0), ['car', 'bus'], np.array([0.1, 0.9])).select([False, True])
    assert kept.names == ['bus'] and kept.scores.tolist() == [0.9] and len(kept) == 1 and kept.velocities is None
    with pytest.raises(ValueError, match='velocities must be equally many'):
        Boxes(BOX, ['car'], velocities=np.zeros((2, 2)))
    moving = Boxes(np.repeat(BOX, 2, axis=0), ['car', 'bus'], velocities=np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert moving.select([False, True]).velocities.tolist() == [[3.0, 4.0]]


@pytest.fixture
def info():
    return dict(
        token='t',
        lidar2ego_translation=[0.9, 0.0, 1.8],
        lidar2ego_rotation=list(Quaternion(axis=[0, 0, 1], degrees=-90)),
        ego2global_translation=[600.0, 1600.0, 0.5],
        ego2global_rotation=list(Quaternion(axis=[0, 0, 1], degrees=30)),
    )


def test_global_detection_comes_back(info):
    pose = lidar_to_global(info)
    yaw_of_lidar = np.radians(30 - 90)
    detection = dict(
        translation=(pose @ [10.0, 2.0, 1.0, 1.0])[:3].tolist(),
        size=[2.0, 4.0, 1.0],
        rotation=list(Quaternion(axis=[0, 0, 1], radians=yaw_of_lidar + 0.4)),
        detection_name='car',
        detection_score=0.7,
    )
    boxes = boxes_in_lidar_frame([detection], info)
    np.testing.assert_allclose(boxes.boxes, turned(0.4), atol=1e-9)
    assert boxes.names == ['car'] and boxes.scores.tolist() == [0.7]
    assert len(boxes_in_lidar_frame([], info)) == 0


def test_written_submission_comes_back(info):
    """The project's own writer and this reader are inverse to each other, tilted ego vehicle included."""
    import torch
    from mmdet3d.core.bbox import LiDARInstance3DBoxes

    from mmdet3d_plugin.datasets.evaluation import nuscenes_boxes

    info['ego2global_rotation'] = list(Quaternion(axis=[0.1, -0.05, 1], degrees=50))
    numbers = torch.tensor(
        [[5.0, -3.0, 0.2, 4.0, 1.9, 1.6, 2.5, 1.0, 0.0], [-8.0, 1.0, 0.0, 7.0, 2.0, 3.0, -0.3, 0, 0]]
    )
    detection = dict(
        boxes_3d=LiDARInstance3DBoxes(numbers, box_dim=9, origin=(0.5, 0.5, 0.5)),
        scores_3d=torch.tensor([0.5, 0.25]),
        labels_3d=torch.tensor([0, 1]),
    )
    written = nuscenes_boxes(detection, info, ['car', 'truck'], dict(car=50, truck=50))
    boxes = boxes_in_lidar_frame(written, info)
    np.testing.assert_allclose(boxes.boxes, numbers[:, :7].double().numpy(), atol=1e-5)
    assert boxes.names == ['car', 'truck']


def test_ground_truth_counts_what_the_evaluation_counts():
    info = dict(
        gt_boxes=np.repeat(BOX, 3, axis=0), gt_names=np.array(['car', 'animal', 'car']), valid_flag=[True, True, False]
    )
    assert ground_truth_boxes(info, ['car', 'bus']).names == ['car']
    empty = dict(gt_boxes=np.zeros((0, 7)), gt_names=np.array([], dtype=str), valid_flag=np.zeros(0, dtype=bool))
    assert len(ground_truth_boxes(empty, ['car'])) == 0


def test_wrong_results_file_names_the_way_out(tmp_path):
    path = tmp_path / 'results.pkl'
    path.write_bytes(b'\x80\x04\x95')
    with pytest.raises(ValueError, match='jsonfile_prefix'):
        load_results(path)
    path.write_text('[]')
    with pytest.raises(ValueError, match='results.pkl is not'):
        load_results(path)
    path.write_text(json.dumps({'results': {'t': []}}))
    assert load_results(path) == {'t': []}
