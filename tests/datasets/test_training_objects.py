"""A training set of which no sample keeps an object: found before the run, and never an endless search."""

import re

import numpy as np
import pytest
import torch
from mmdet.datasets import ConcatDataset, RepeatDataset
from mmdet3d.datasets import Custom3DDataset
from torch.utils.data import DataLoader

from mmdet3d_plugin.datasets import NuScenesBEVDataset, SeededCBGSDataset, nuscenes_bev_dataset
from mmdet3d_plugin.datasets.infos.info_io import save_infos
from mmdet3d_plugin.datasets.training_objects import NoObjectsError
from mmdet3d_plugin.engine.preflight import check_data

RANGE = [-51.2, -51.2, -5.0, 51.2, 51.2, 3.0]
CLASSES = NuScenesBEVDataset.CLASSES


class DropAll:
    """A step that takes every object."""

    def __call__(self, results):
        return dict(results, gt_bboxes_3d=results['gt_bboxes_3d'][:0], gt_labels_3d=results['gt_labels_3d'][:0])


def pipeline(point_cloud_range=RANGE, more=()):
    return [
        dict(type='LoadAnnotations3D'),
        dict(type='ObjectRangeFilter', point_cloud_range=point_cloud_range),
        dict(type='ObjectNameFilter', classes=CLASSES),
        *more,
        dict(type='FormatBEVInputs', keys=['gt_bboxes_3d', 'gt_labels_3d']),
    ]


@pytest.fixture
def build(tmp_path, base_infos, tables_root, monkeypatch):
    """Function: change of an info's boxes, and options -> training set, whose search for others ends after 5,000."""

    def change_all(change=lambda number, boxes: boxes, point_cloud_range=RANGE, more=(), **options):
        infos = [
            dict(info, gt_boxes=change(number, info['gt_boxes'].copy()))
            for number, info in enumerate(base_infos['train'])
        ]
        save_infos(tmp_path / 'infos.pkl', infos, 'v1.0-mini', 'train')
        steps = pipeline(point_cloud_range, more)
        return NuScenesBEVDataset(str(tmp_path / 'infos.pkl'), str(tables_root), steps, **options)

    others = []
    another = NuScenesBEVDataset._rand_another

    def count(dataset, index):
        others.append(index)
        assert len(others) < 5000, 'searches for ever'
        return another(dataset, index)

    monkeypatch.setattr(NuScenesBEVDataset, '_rand_another', count)
    return change_all


def in_millimetres(number, boxes):
    boxes[:, :6] *= 1000
    return boxes


def unknown(number, boxes):
    return np.full_like(boxes, np.nan)


def counts_in(message):
    """[(objects, samples, step), ...] of the lines of a message."""
    rows = re.findall(r'^ +(\d+) in +(\d+) samples (.*)$', message, re.M)
    return [(int(objects), int(samples), step) for objects, samples, step in rows]


def test_the_error_counts_what_each_step_leaves(build, base_infos):
    infos = base_infos['train']
    seen = [info['gt_names'][info['num_lidar_pts'] > 0] for info in infos]
    known = [np.isin(names, CLASSES) for names in seen]
    dataset = build(in_millimetres)
    with pytest.raises(NoObjectsError) as caught:
        dataset.check_files()
    message = str(caught.value)
    assert message.startswith(
        f'{dataset.ann_file}: no sample keeps an object to train on. Objects left in 18 samples:\n'
    )
    rows = counts_in(message)
    assert [row[:2] for row in rows] == [
        (sum(len(info['gt_names']) for info in infos), 18),
        (sum(map(len, seen)), 18),
        (sum(int(mask.sum()) for mask in known), 18),
        (0, 0),
        (0, 0),
    ]
    assert rows[0][0] > rows[1][0] > rows[2][0] > 100
    assert [row[2].split('(')[0] for row in rows] == [
        'in the info file',
        'with a LiDAR point',
        f'of the classes {", ".join(CLASSES)}',
        'after ObjectRangeFilter',
        'after ObjectNameFilter',
    ]
    assert '(point_cloud_range=[-51.2, -51.2, -5.0, 51.2, 51.2, 3.0])' in rows[3][2]
    first = dataset.data_infos[0]
    row = np.flatnonzero((first['num_lidar_pts'] > 0) & np.isin(first['gt_names'], CLASSES))[0]
    x, y, z, length, width, height = first['gt_boxes'][row, :6]
    assert message.endswith(
        f'For example, sample {first["token"]} has a {first["gt_names"][row]} at ({x:.1f}, {y:.1f}, {z:.1f}) of size '
        f'({length:.1f}, {width:.1f}, {height:.1f}). Info files hold metres in the LiDAR frame, and so does the range.'
    )
    assert length > 1000


@pytest.mark.parametrize(
    'change, options',
    [
        (in_millimetres, {}),
        (unknown, {}),
        (lambda number, boxes: boxes, dict(point_cloud_range=[500, 500, -5, 600, 600, 3])),
        (in_millimetres, dict(use_valid_flag=True)),
    ],
)
def test_the_search_for_another_sample_ends(build, change, options):
    dataset = build(change, **options)
    with pytest.raises(NoObjectsError, match='0 in +0 samples after ObjectRangeFilter'):
        dataset[3]
    balanced = SeededCBGSDataset(dataset)
    with pytest.raises(NoObjectsError):
        balanced[0]
    with pytest.raises(NoObjectsError):
        balanced.check_files()


def test_loader_workers_pass_the_error_on(build):
    loader = DataLoader(build(in_millimetres), batch_size=None, num_workers=1)
    with pytest.raises(NoObjectsError, match='(?s)DataLoader worker.*no sample keeps an object.*ObjectRangeFilter'):
        next(iter(loader))


def test_another_step_that_takes_everything_is_found_in_the_end(build, monkeypatch):
    monkeypatch.setattr(nuscenes_bev_dataset, '_MOST_TRIES', 40)
    dataset = build(more=[DropAll()])
    dataset.check_files()  # the annotations do not tell
    with pytest.raises(NoObjectsError, match='Objects left in 40 samples') as caught:
        dataset[0]
    *_, named, whole = counts_in(str(caught.value))
    assert named[0] > 100 and named[1] == 40 and named[2].startswith('after ObjectNameFilter')
    assert whole == (0, 0, 'after the whole pipeline, augmented')


def only_sample_5(number, boxes):
    return boxes if number == 5 else in_millimetres(number, boxes)


def test_one_sample_with_objects_is_enough(build):
    dataset = build(only_sample_5)
    dataset.check_files()
    expected = dataset[5]['gt_bboxes_3d'].data.tensor
    assert len(expected) > 5
    for index in (0, 7, 17):
        torch.testing.assert_close(dataset[index]['gt_bboxes_3d'].data.tensor, expected, equal_nan=True)


def test_replacements_are_drawn_as_by_mmdet3d(build):
    dataset = build(lambda number, boxes: in_millimetres(number, boxes) if number % 3 else boxes)
    drawn = []
    for getitem in (NuScenesBEVDataset.__getitem__, Custom3DDataset.__getitem__):
        np.random.seed(7)
        boxes = [getitem(dataset, index)['gt_bboxes_3d'].data.tensor.nan_to_num() for index in range(len(dataset))]
        drawn.append((torch.cat(boxes), np.random.rand()))
    assert torch.equal(drawn[0][0], drawn[1][0]) and drawn[0][1] == drawn[1][1]


def test_sets_that_keep_empty_samples_are_looked_at_before_a_run(build):
    dataset = build(in_millimetres, filter_empty_gt=False)
    assert len(dataset[3]['gt_bboxes_3d'].data) == 0
    with pytest.raises(NoObjectsError):
        dataset.check_files()
    build(in_millimetres, test_mode=True).check_files()


@pytest.mark.parametrize('wrap', [lambda dataset: RepeatDataset(dataset, 2), lambda dataset: ConcatDataset([dataset])])
def test_wrapped_sets_are_looked_at_too(build, wrap):
    check_data(wrap(build()))
    with pytest.raises(NoObjectsError):
        check_data(wrap(build(in_millimetres)))


def test_a_set_without_objects_of_the_classes_tells_what_it_has(tmp_path, base_infos, tables_root):
    infos = [dict(info, num_lidar_pts=np.zeros_like(info['num_lidar_pts'])) for info in base_infos['train']]
    save_infos(tmp_path / 'infos.pkl', infos, 'v1.0-mini', 'train')
    objects = sum(len(info['gt_names']) for info in infos)
    with pytest.raises(ValueError, match=f"Of {objects} objects, 0 have a point of the LiDAR; by name: .*'car': "):
        NuScenesBEVDataset(str(tmp_path / 'infos.pkl'), str(tables_root))
