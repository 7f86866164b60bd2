"""Range, points and bike racks, box by box as the devkit decides."""

import numpy as np
import pytest
from nuscenes.utils.data_classes import Box
from nuscenes.utils.geometry_utils import points_in_box
from pyquaternion import Quaternion

from dualdistill_runtime.box_arrays import BoxArrays, hamilton_product, yaws
from dualdistill_runtime.detection_classes import DETECTION_CLASSES
from dualdistill_runtime.poses import rotation_matrices
from mmdet3d_plugin.datasets.evaluation.eval_filters import counting, in_racks

RANGE = dict.fromkeys(DETECTION_CLASSES, 50.0) | dict(barrier=30.0)


def arrays(sample, translation, label=0, size=(2, 4, 2), rotation=(1, 0, 0, 0), points=-1):
    count = len(sample)
    return BoxArrays(
        sample=np.array(sample, dtype=np.int64), label=np.broadcast_to(label, count), score=np.ones(count),
        translation=np.array(translation, dtype=float).reshape(-1, 3), velocity=np.zeros((count, 2)),
        size=np.broadcast_to(size, (count, 3)), rotation=np.broadcast_to(rotation, (count, 4)).astype(float),
        attribute=np.full(count, -1), num_points=np.broadcast_to(points, count),
    )  # fmt: skip


NO_RACKS = arrays([], [])


def test_range_is_of_the_class_strict_and_around_the_ego_of_the_sample():
    labels = [DETECTION_CLASSES.index(name) for name in ('car', 'car', 'barrier', 'barrier', 'car')]
    places = [[49.9, 0, 9], [0, 50, 0], [29, 0, 0], [0, -30.5, 0], [140, 0, 0]]
    ego = np.array([[0.0, 0, 0], [100, 0, 0]])
    boxes = arrays([0, 0, 0, 0, 1], places, labels)
    assert counting(boxes, ego, RANGE, NO_RACKS).translation[:, 0].tolist() == [49.9, 29, 140]


def test_annotations_without_a_point_do_not_count():
    boxes = arrays([0, 0, 0], np.zeros((3, 3)), points=[0, 1, -1])
    assert counting(boxes, np.zeros((1, 3)), RANGE, NO_RACKS).num_points.tolist() == [1, -1]


@pytest.mark.parametrize('name, inside', [('bicycle', True), ('motorcycle', True), ('pedestrian', False)])
def test_bicycles_in_a_rack_of_their_sample(name, inside):
    label = DETECTION_CLASSES.index(name)
    racks = arrays([0, 0, 2], [[0, 0, 0], [10, 0, 0], [0, 0, 0]], -1)  # 4 m along x, 2 m along y and z
    places = [[2, 1, 1], [2.01, 0, 0], [11, 0, 0], [0, 0, 0], [0, 0, 1.01], [0, 0, 0.5]]
    boxes = arrays([0, 0, 0, 1, 2, 2], places, label)
    expected = [True, False, True, False, False, True]
    assert in_racks(boxes, racks).tolist() == [inside and found for found in expected]


def test_turned_racks_as_the_devkit_finds_them():
    rng = np.random.default_rng(0)
    size, rotation = rng.uniform(1, 6, size=(9, 3)), rng.normal(size=(9, 4))
    racks = arrays(np.repeat([0, 1, 2], 3), rng.normal(size=(9, 3)) * 2, -1, size, rotation)
    boxes = arrays(np.repeat([0, 1, 2, 3], 100), rng.normal(size=(400, 3)) * 3, DETECTION_CLASSES.index('bicycle'))
    expected = [
        any(
            points_in_box(Box(c.tolist(), s.tolist(), Quaternion(q)), place[:, None])[0]
            for c, s, q, of in zip(racks.translation, size, rotation, racks.sample)
            if of == sample
        )
        for place, sample in zip(boxes.translation, boxes.sample)
    ]
    assert 20 < sum(expected) < 300
    assert in_racks(boxes, racks).tolist() == expected


def test_quaternions_are_pyquaternion_s():
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(2, 20, 4))
    np.testing.assert_allclose(rotation_matrices(first), [Quaternion(q).rotation_matrix for q in first], atol=1e-14)
    products = [(Quaternion(a) * Quaternion(b)).elements for a, b in zip(first, second)]
    np.testing.assert_allclose(hamilton_product(first, second), products, atol=1e-14)
    headings = [np.arctan2(*Quaternion(q).rotation_matrix[[1, 0], 0]) for q in first]
    np.testing.assert_allclose(yaws(first), headings, atol=1e-14)
    assert rotation_matrices(np.zeros((0, 4))).shape == (0, 3, 3)
