"""Ground-truth sampling: what is drawn, where it is pasted, and mmdet3d's ObjectSample around it."""

import random

import numpy as np
import pytest
import torch
from mmdet3d.core import LiDARInstance3DBoxes
from mmdet3d.core.points import LiDARPoints
from mmdet3d.datasets.builder import OBJECTSAMPLERS, PIPELINES

from mmdet3d_plugin.datasets.gt_database.files import ObjectClass, save_database_infos
from mmdet3d_plugin.datasets.gt_database.sampler import _overlaps

CLASSES = ['car', 'pedestrian', 'bus']
LONG = (6.0, 2.0, 1.5)


def box(x, y, yaw=0.0, size=LONG, velocity=(1.0, 2.0)):
    """Nine numbers with the gravity centre 1 m above the ground of z = -1."""
    return [x, y, 0.0, *size, yaw, *velocity]


def write_database(folder, objects, columns=5):
    """Database of ``{class: [(box, number of points)]}``; the points of an object are all its running number."""
    arrays, chunks, start, number = {}, [], 0, 0
    for name, entries in objects.items():
        starts = []
        for _, count in entries:
            chunks.append(np.full((count, columns), number, dtype=np.float32))
            starts.append(start)
            start, number = start + count, number + 1
        counts = [count for _, count in entries]
        arrays[name] = ObjectClass(
            np.array([row for row, _ in entries], dtype=np.float32), np.array(starts), np.array(counts)
        )
    np.concatenate(chunks).tofile(folder / 'points.bin')
    save_database_infos(folder / 'dbinfos.pkl', arrays, 'points.bin', 'v1.0-mini', 'train', 1, columns == 17)
    return str(folder / 'dbinfos.pkl')


def build(path, sample_groups, **kwargs):
    options = dict(info_path=path, classes=CLASSES, sample_groups=sample_groups, num_sweeps=1)
    return OBJECTSAMPLERS.build(dict(type='GTDatabaseSampler', **options, **kwargs))


def sample(sampler, boxes=(), labels=()):
    boxes = np.array(boxes, dtype=np.float32).reshape(-1, 9)
    return sampler.sample_all(boxes, np.array(labels, dtype=np.int64))


def test_objects_keep_place_heading_velocity_and_points(tmp_path):
    path = write_database(tmp_path, {'car': [(box(0, 0), 3)], 'pedestrian': [(box(10, 5, 0.5, (1, 1, 1.8)), 6)]})
    drawn = sample(build(path, dict(pedestrian=1)))
    expected = np.array([[10, 5, -0.9, 1, 1, 1.8, 0.5, 1, 2]], dtype=np.float32)  # bottom centre
    np.testing.assert_allclose(drawn['gt_bboxes_3d'], expected)
    assert drawn['gt_labels_3d'].tolist() == [1] and drawn['gt_labels_3d'].dtype == np.int64
    assert torch.equal(drawn['points'].tensor, torch.ones(6, 5))


def test_the_sample_is_filled_up(tmp_path):
    """Three wanted, one there: two drawn, different ones; a class of which enough are there gives none."""
    path = write_database(tmp_path, {'car': [(box(10 * i, 0), 5) for i in range(6)], 'bus': [(box(0, 20), 5)]})
    sampler = build(path, dict(car=3, bus=1, pedestrian=4))  # the set has no pedestrian
    drawn = sample(sampler, [box(0, -20), box(0, -30)], [0, 2])
    assert drawn['gt_labels_3d'].tolist() == [0, 0]
    assert len(np.unique(drawn['gt_bboxes_3d'][:, 0])) == 2
    assert sample(sampler, [box(0, -20 - 10 * i) for i in range(4)], [0, 0, 0, 2]) is None
    assert len(sample(build(path, dict(car=50)))['gt_labels_3d']) == 6  # no more than there are


def test_few_points_are_not_drawn(tmp_path):
    path = write_database(tmp_path, {'car': [(box(0, 0), 4), (box(20, 0), 5)]})
    assert sample(build(path, dict(car=2)))['gt_bboxes_3d'][:, 0].tolist() == [20]
    assert len(sample(build(path, dict(car=2), min_points=4))['gt_bboxes_3d']) == 2


@pytest.mark.parametrize(
    'other, hit',
    [
        (box(5.9, 0), True),  # 6 m long, 0.1 m of overlap
        (box(6.1, 0), False),
        (box(0, 1.9), True),
        (box(0, 2.1), False),
        (box(0, 3.9, np.pi / 2), True),  # turned: 3 m to its end, 1 m to the other's side
        (box(0, 4.1, np.pi / 2), False),
        (box(3.5, 2.0, np.pi / 4), True),  # counter-clockwise: its rear end lies at (1.4, -0.1)
        (box(3.5, 2.0, -np.pi / 4), False),  # clockwise: its side meets y = 1 at x = 3.09
        (box(0, 0, 0, (0.5, 0.5, 0.5)), True),  # inside
    ],
)
def test_rectangles_that_overlap(other, hit):
    first, second = np.array(box(0, 0), dtype=np.float32), np.array([other], dtype=np.float32)
    assert _overlaps(first, second) == hit
    assert _overlaps(second[0], first[None]) == hit


def test_nothing_is_pasted_onto_boxes_or_other_objects(tmp_path):
    path = write_database(tmp_path, {'car': [(box(0, 0), 5), (box(1, 0), 5), (box(20, 0), 5)]})
    sampler = build(path, dict(car=10))
    centres = {tuple(sample(sampler)['gt_bboxes_3d'][:, 0].tolist()) for _ in range(20)}
    assert {frozenset(c) for c in centres} == {frozenset({0.0, 20.0}), frozenset({1.0, 20.0})}
    drawn = sample(sampler, [box(20, 1)], [-1])  # an object of no class of the detector is an obstacle, too
    assert 20 not in drawn['gt_bboxes_3d'][:, 0]
    assert sample(sampler, [box(0, 0), box(20, 0)], [2, 2]) is None


def test_draws_follow_python_s_random_state(tmp_path):
    path = write_database(tmp_path, {'car': [(box(10 * i, 0), 5) for i in range(50)]})
    first, second = build(path, dict(car=5)), build(path, dict(car=5))

    def draw(sampler, seed):
        random.seed(seed)
        return sample(sampler)['gt_bboxes_3d'][:, 0].tolist()

    sample(second)  # what was drawn before does not matter
    assert draw(first, 1) == draw(second, 1) != draw(first, 2)


@pytest.mark.parametrize('columns', [5, 17])
def test_object_sample_pastes_objects_and_clears_their_place(tmp_path, columns):
    path = write_database(tmp_path, {'car': [(box(10, 0), 7)]}, columns)
    layout = dict(num_sweeps=1, virtual_points=columns == 17)
    sampler = dict(type='GTDatabaseSampler', info_path=path, classes=CLASSES, sample_groups=dict(car=2), **layout)
    step = PIPELINES.build(dict(type='ObjectSample', db_sampler=sampler))
    points = torch.full((4, columns), 9.0)
    points[:, :3] = torch.tensor([[10, 0, 0], [12.9, 0.9, 0.7], [10, 0, 0.8], [0, 0, 0.0]])  # two inside
    unknown = torch.tensor([box(0, 0, velocity=(torch.nan, torch.nan))])
    unknown[:, 2] -= 0.75
    result = step(
        dict(
            points=LiDARPoints(points, points_dim=columns),
            gt_bboxes_3d=LiDARInstance3DBoxes(unknown, 9),
            gt_labels_3d=np.array([2]),
        )
    )
    assert result['gt_labels_3d'].tolist() == [2, 0]
    np.testing.assert_allclose(result['gt_bboxes_3d'].gravity_center[1], [10, 0, 0], atol=1e-6)
    assert result['gt_bboxes_3d'].tensor[1, 7:].tolist() == [1, 2]
    assert torch.isnan(result['gt_bboxes_3d'].tensor[0, 7:]).all()  # unknown stays unknown
    assert torch.equal(result['points'].tensor, torch.cat([torch.zeros(7, columns), points[2:]]))


def test_bad_arguments_are_named(tmp_path):
    path = write_database(tmp_path, {'car': [(box(0, 0), 5)]})
    with pytest.raises(ValueError, match='sample_groups: lorry not in classes'):
        build(path, dict(lorry=1))
    with pytest.raises(ValueError, match='no sample_2d'):
        build(path, dict(car=1)).sample_all(np.zeros((0, 9), np.float32), np.zeros(0, np.int64), img=np.zeros(1))


def test_points_that_were_cut_after_the_start_are_named(tmp_path):
    sampler = build(write_database(tmp_path, {'car': [(box(0, 0), 9)]}), dict(car=1))
    (tmp_path / 'points.bin').write_bytes(bytes(8 * 5 * 4))
    with pytest.raises(ValueError, match=r'points\.bin ends before its object at point 0: make the database again'):
        sample(sampler)
