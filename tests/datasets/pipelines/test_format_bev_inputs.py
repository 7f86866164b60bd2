"""Containers, collation and scattering: what a detector is called with."""

import numpy as np
import pytest
import torch
from helpers.nuscenes_batch import batch_of
from mmcv.parallel import DataContainer
from mmdet3d.core.bbox import LiDARInstance3DBoxes
from mmdet3d.core.points import LiDARPoints

from mmdet3d_plugin.datasets.pipelines import FormatBEVInputs

SHAPES = dict(
    img=(2, 6, 3, 8, 16),
    intrins=(2, 6, 3, 3),
    post_rots=(2, 6, 3, 3),
    post_trans=(2, 6, 3),
    cam2lidar=(2, 6, 4, 4),
    frame2cur=(2, 4, 4),
    bev_aug=(4, 4),
    gt_depth=(6, 2, 4),
    anything=(3,),
)
KEYS = (*SHAPES, 'points', 'gt_bboxes_3d', 'gt_labels_3d')


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
    step = FormatBEVInputs(keys=KEYS)
    originals = [_results(size, 5 + size) for size in sizes]
    batch = batch_of([step(results) for results in originals])
    assert set(batch) == {*KEYS, 'img_metas'}
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


@pytest.mark.parametrize(
    'value, expected',
    [
        (np.array([1.5, 2.5]), torch.float32),
        (np.array([1.5, 2.5], dtype=np.float16), torch.float32),
        (torch.tensor([1.5, 2.5], dtype=torch.float64), torch.float32),
        (np.array([3, 4], dtype=np.int32), torch.int64),
        (np.array([3, 4], dtype=np.uint8), torch.int64),
        (torch.tensor([3, 4]), torch.int64),
        (np.array([True, False]), torch.bool),
        (np.array(2.5), torch.float32),
    ],
)
def test_the_kind_of_numbers_decides_the_type(value, expected):
    step = FormatBEVInputs(keys=['mine'])
    batch = batch_of([step(dict(mine=value)) for _ in range(2)])
    assert batch['mine'].dtype == expected and batch['mine'].shape == (2, *np.shape(value))
    assert batch['mine'][1].tolist() == np.asarray(value).tolist()


def test_other_points_boxes_and_labels_are_listed_too():
    results = _results()
    results.update(radar_points=results['points'], pasted_boxes=results['gt_bboxes_3d'], gt_labels_2d=[4, 5])
    batch = batch_of([FormatBEVInputs(keys=['radar_points', 'pasted_boxes', 'gt_labels_2d'])(results)])
    assert torch.equal(batch['radar_points'][0], results['points'].tensor)
    assert batch['pasted_boxes'][0] is results['gt_bboxes_3d'] and batch['gt_labels_2d'][0].tolist() == [4, 5]


@pytest.mark.parametrize(
    'value, found',
    [
        ('text', 'a str'),
        ([np.zeros(3)], 'a list'),
        (0.5, 'a float'),
        (np.array(['a', 'b']), 'an array of <U1'),
        (np.array([None]), 'an array of object'),
    ],
)
def test_what_no_batch_can_hold_is_an_error(value, found):
    with pytest.raises(TypeError, match=f"cannot make a batch of 'mine', {found}: .*`meta_keys`"):
        FormatBEVInputs(keys=['mine'])(dict(mine=value))


def test_a_missing_key_is_an_error():
    results = _results()
    del results['gt_depth']
    with pytest.raises(KeyError, match='gt_depth'):
        FormatBEVInputs(keys=['img', 'gt_depth'])(results)


def test_images_of_bytes_stay_so_and_tell_how_to_normalise_them():
    norm = dict(mean=(1.0, 2.0, 3.0), std=(1.0, 1.0, 2.0), to_rgb=True)
    sample = FormatBEVInputs(keys=['img'])(dict(img=np.full((1, 2, 3, 4, 4), 200, np.uint8), img_norm_cfg=norm))
    assert sample['img'].data.dtype == torch.uint8 and (sample['img'].data == 200).all()
    assert sample['img_metas'].data['img_norm_cfg'] == norm
