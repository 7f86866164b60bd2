"""Containers, collation and scattering: what a detector is called with."""

import numpy as np
import pytest
import torch
from helpers.nuscenes_batch import batch_of
from mmcv.parallel import DataContainer
from mmdet3d.core.bbox import LiDARInstance3DBoxes
from mmdet3d.core.points import LiDARPoints

from mmdet3d_plugin.datasets.pipelines import FormatBEVInputs
from mmdet3d_plugin.datasets.pipelines.format_bev_inputs import LISTED_KEYS, STACKED_KEYS

SHAPES = dict(
    img=(2, 6, 3, 8, 16),
    intrins=(2, 6, 3, 3),
    post_rots=(2, 6, 3, 3),
    post_trans=(2, 6, 3),
    cam2lidar=(2, 6, 4, 4),
    frame2cur=(2, 4, 4),
    bev_aug=(4, 4),
    gt_depth=(6, 2, 4),
)


def _results(boxes=3, points=7):
    rng = np.random.default_rng(boxes)
    results = {key: rng.normal(size=shape) for key, shape in SHAPES.items()}
    results.update(
        points=LiDARPoints(torch.rand(points, 5), points_dim=5),
        gt_bboxes_3d=LiDARInstance3DBoxes(torch.rand(boxes, 9), box_dim=9),
        gt_labels_3d=np.arange(boxes) if boxes else np.array([]),
        sample_idx=f'token{boxes}',
        frame_dt=0.5,
        timestamp=12.25,
        unused='dropped',
    )
    return results


@pytest.mark.parametrize('sizes', [(3, 0), (2,)])
def test_batch_as_a_detector_gets_it(sizes):
    step = FormatBEVInputs(keys=STACKED_KEYS + LISTED_KEYS)
    originals = [_results(size, 5 + size) for size in sizes]
    batch = batch_of([step(results) for results in originals])
    assert set(batch) == {*STACKED_KEYS, *LISTED_KEYS, 'img_metas'}
    for key, shape in SHAPES.items():
        assert batch[key].shape == (len(sizes), *shape) and batch[key].dtype == torch.float32
        np.testing.assert_allclose(batch[key][0], originals[0][key], rtol=1e-6)
    for index, size in enumerate(sizes):
        assert batch['points'][index].shape == (5 + size, 5) and batch['points'][index].dtype == torch.float32
        assert isinstance(batch['gt_bboxes_3d'][index], LiDARInstance3DBoxes)
        assert batch['gt_bboxes_3d'][index].tensor.shape == (size, 9)
        assert batch['gt_labels_3d'][index].tolist() == list(range(size))
        assert batch['gt_labels_3d'][index].dtype == torch.int64
        meta = batch['img_metas'][index]
        assert meta['sample_idx'] == f'token{size}' and meta['frame_dt'] == 0.5 and 'unused' not in meta
        assert isinstance(meta['bev_aug'], np.ndarray)


def test_kinds_of_containers():
    sample = FormatBEVInputs(keys=['img', 'gt_bboxes_3d'])(_results())
    assert all(isinstance(value, DataContainer) for value in sample.values())
    assert sample['img'].stack and not sample['img'].cpu_only
    assert sample['gt_bboxes_3d'].cpu_only and sample['img_metas'].cpu_only


def test_images_are_not_copied():
    results = _results()
    results['img'] = results['img'].astype(np.float32)
    sample = FormatBEVInputs(keys=['img'])(results)
    assert sample['img'].data.data_ptr() == results['img'].ctypes.data


def test_unequal_shapes_are_an_error():
    step = FormatBEVInputs(keys=['gt_depth'])
    other = _results()
    other['gt_depth'] = other['gt_depth'][:, :1]
    with pytest.raises(RuntimeError, match='equal size'):
        batch_of([step(_results()), step(other)])


def test_config_texts_of_older_runs_ask_for_the_cameras_by_another_name():
    step = FormatBEVInputs(keys=['img', 'cam2bev', 'bev_aug'])
    assert set(step(_results())) == {'img', 'cam2lidar', 'bev_aug', 'img_metas'}


def test_errors_name_the_keys():
    with pytest.raises(ValueError, match=r"unknown keys \['image'\]"):
        FormatBEVInputs(keys=['img', 'image'])
    results = _results()
    del results['gt_depth']
    with pytest.raises(KeyError, match='gt_depth'):
        FormatBEVInputs(keys=['img', 'gt_depth'])(results)
