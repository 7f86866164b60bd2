"""The three data set configs end to end: from info file to the batch a detector is called with."""

import copy

import numpy as np
import pytest
import torch
from helpers import nuscenes_batch
from mmcv import Config
from mmcv.parallel import collate
from torch.utils.data import DataLoader

from mmdet3d_plugin.datasets.pipelines.presets import camera_4d_pipelines

CAMERA_KEYS = {'img', 'intrins', 'post_rots', 'post_trans', 'cam2lidar', 'frame2cur', 'bev_aug', 'img_metas'}
TARGETS = {'gt_bboxes_3d', 'gt_labels_3d'}
KEYS = {
    ('nuscenes_lidar', 'train'): {'points', 'bev_aug', 'img_metas', *TARGETS},
    ('nuscenes_lidar', 'test'): {'points', 'bev_aug', 'img_metas'},
    ('nuscenes_lidar_virtual', 'train'): {'points', 'bev_aug', 'img_metas', *TARGETS},
    ('nuscenes_lidar_virtual', 'test'): {'points', 'bev_aug', 'img_metas'},
    ('nuscenes_camera_4d', 'train'): {*CAMERA_KEYS, *TARGETS, 'gt_depth'},
    ('nuscenes_camera_4d', 'test'): CAMERA_KEYS,
    ('nuscenes_distill', 'train'): {*CAMERA_KEYS, *TARGETS, 'gt_depth', 'points'},
    ('nuscenes_distill', 'test'): CAMERA_KEYS,
}


@pytest.fixture(scope='module')
def real_files(real_virtual_root, tmp_path_factory):
    return nuscenes_batch.write_data_files(real_virtual_root, tmp_path_factory.mktemp('infos'))


@pytest.fixture(scope='module')
def tiny_infos(tiny_nuscenes, tmp_path_factory):
    return nuscenes_batch.write_infos(nuscenes_batch.load_tables(tiny_nuscenes), tmp_path_factory.mktemp('infos'))


@pytest.mark.parametrize('name, split', KEYS)
def test_full_size_configs_on_the_real_keyframe(real_virtual_root, real_files, name, split):
    dataset = nuscenes_batch.config_dataset(name, real_virtual_root, *real_files, split)
    batch = nuscenes_batch.batch_of([dataset[0]])
    assert set(batch) == KEYS[name, split]
    if 'img' in batch:
        assert batch['img'].shape == (1, 2, 6, 3, 256, 704)
        assert 0.5 < batch['img'].std() < 2  # normalised pictures, not black
    if 'gt_depth' in batch:
        assert batch['gt_depth'].shape == (1, 6, 16, 44)
        assert (batch['gt_depth'] > 0).float().mean() > 0.3
    if 'points' in batch:
        points = batch['points'][0]
        assert points.shape[1] == (17 if 'virtual' in name else 5)
        assert len(points) > 100_000 and (points[:, :3].abs().amax(dim=0) <= torch.tensor([51.2, 51.2, 5.0])).all()
    if 'gt_bboxes_3d' in batch:
        assert len(batch['gt_bboxes_3d'][0]) == len(batch['gt_labels_3d'][0]) > 40
        assert (batch['gt_bboxes_3d'][0].tensor[:, :2].abs() <= 51.2).all()
    steps = [type(step).__name__ for step in getattr(dataset, 'dataset', dataset).pipeline.transforms]
    reads_points = any('Points' in step for step in steps)
    assert reads_points == (split == 'train' or name.startswith('nuscenes_lidar'))


def test_a_toy_batch(tiny_nuscenes, tmp_path):
    """Shapes and kinds of everything a distilled student is called with."""
    batch = nuscenes_batch.training_batch(tiny_nuscenes, tmp_path)
    shapes = dict(
        img=(2, 2, 6, 3, 96, 256),
        intrins=(2, 2, 6, 3, 3),
        post_rots=(2, 2, 6, 3, 3),
        post_trans=(2, 2, 6, 3),
        cam2lidar=(2, 2, 6, 4, 4),
        frame2cur=(2, 2, 4, 4),
        bev_aug=(2, 4, 4),
        gt_depth=(2, 6, 6, 16),
    )
    for key, shape in shapes.items():
        assert batch[key].shape == shape and batch[key].dtype == torch.float32
        assert torch.isfinite(batch[key]).all()
    assert (batch['gt_depth'] > 0).float().mean() > 0.1
    for points, boxes, labels, meta in zip(
        *(batch[key] for key in ('points', 'gt_bboxes_3d', 'gt_labels_3d', 'img_metas'))
    ):
        assert points.shape[1] == 5 and len(points) > 1000
        assert boxes.tensor.shape == (len(labels), 9) and len(labels) > 0
        assert labels.min() >= 0 and labels.max() <= 9
        assert {'sample_idx', 'scene_token', 'timestamp', 'frame_dt', 'box_type_3d', 'box_mode_3d'} <= set(meta)
        assert len(meta['box_type_3d'](boxes.tensor, box_dim=9)) == len(boxes)


def test_the_seed_decides_everything(tiny_nuscenes, tiny_infos):
    dataset = nuscenes_batch.build(tiny_nuscenes, tiny_infos, nuscenes_batch.distill_pipelines()[0])
    last = len(dataset) - 1

    def sample(seed):
        nuscenes_batch.seed_everything(seed)
        return nuscenes_batch.batch_of([dataset[last]])

    first, second, other = sample(1), sample(1), sample(2)
    for key in ('img', 'post_rots', 'cam2lidar', 'frame2cur', 'gt_depth'):
        assert torch.equal(first[key], second[key])
        assert not torch.equal(first[key], other[key])
    assert torch.equal(first['points'][0], second['points'][0])
    assert torch.equal(first['gt_bboxes_3d'][0].tensor, second['gt_bboxes_3d'][0].tensor)


@pytest.mark.parametrize('pipelines', [nuscenes_batch.distill_pipelines, nuscenes_batch.teacher_pipelines])
def test_testing_is_deterministic(tiny_nuscenes, tiny_infos, pipelines):
    dataset = nuscenes_batch.build(tiny_nuscenes, tiny_infos, pipelines()[1], test_mode=True)
    first, second = (nuscenes_batch.batch_of([dataset[len(dataset) - 1]]) for _ in range(2))
    assert torch.equal(first['bev_aug'], torch.eye(4)[None])
    for key in set(first) & {'img', 'cam2lidar', 'frame2cur'}:
        assert torch.equal(first[key], second[key])
    if 'points' in first:
        assert torch.equal(first['points'][0], second['points'][0])


SWEEP_PIPELINES = {
    'teacher training': (lambda: nuscenes_batch.teacher_pipelines()[0], False),
    'teacher test': (lambda: nuscenes_batch.teacher_pipelines()[1], True),
    'distillation': (lambda: nuscenes_batch.distill_pipelines()[0], True),
}


@pytest.mark.parametrize('name', SWEEP_PIPELINES)
def test_sweeps_bring_their_age_and_the_keyframe_comes_first(tiny_nuscenes, tiny_infos, name):
    """Ten sweeps with the keyframe: the nearest nine for a trained teacher, any of the infos' ten to train one."""
    pipeline, nearest = SWEEP_PIPELINES[name]
    dataset = nuscenes_batch.build(tiny_nuscenes, tiny_infos, pipeline(), test_mode=name == 'teacher test')
    index = max(range(len(dataset)), key=lambda i: len(dataset.data_infos[i]['sweeps']))
    info = dataset.data_infos[index]
    known = np.array(sorted((info['timestamp'] - sweep['timestamp']) / 1e6 for sweep in info['sweeps']))
    assert len(known) == 10
    column = dataset[index]['points'].data[:, 4]
    assert column.min() == 0
    if nearest:
        assert column[0] == 0  # training a teacher shuffles
    ages = np.unique(column.numpy())[1:]
    assert len(ages) == 9
    (step,) = [step for step in pipeline() if step['type'] == 'LoadLidarPointsFromMultiSweeps']
    assert step['test_mode'] == nearest
    if nearest:
        np.testing.assert_allclose(ages, known[:9], atol=1e-5)
    assert np.abs(ages[:, None] - known).min(axis=1).max() < 1e-5


def test_loader_workers_deliver_the_same_kind_of_batch(tiny_nuscenes, tiny_infos):
    dataset = nuscenes_batch.build(tiny_nuscenes, tiny_infos, nuscenes_batch.distill_pipelines()[0])
    loader = DataLoader(
        dataset, batch_size=2, num_workers=1, collate_fn=lambda samples: collate(samples, samples_per_gpu=2)
    )
    batch = next(iter(loader))
    assert batch['img'].data[0].shape == (2, 2, 6, 3, 96, 256) and len(batch['img_metas'].data[0]) == 2


def test_child_config_overrides_in_a_few_lines(tmp_path, repo_root):
    """What a toy config writes: its own numbers, inherited class names, everything else from the base."""
    base = repo_root / 'configs' / '_base_' / 'datasets' / 'nuscenes_distill.py'
    (tmp_path / 'toy.py').write_text(
        f"""
from mmdet3d_plugin.datasets.pipelines.presets import camera_4d_pipelines
_base_ = {str(base)!r}
train_pipeline, test_pipeline = camera_4d_pipelines(
    class_names={{{{_base_.class_names}}}}, point_cloud_range=[-32, -32, -5, 32, 32, 3], final_dim=(96, 256),
    depth_bounds=(1.0, 40.0, 1.0), depth_downsample=8, teacher_sweeps=5)
data = dict(train=dict(dataset=dict(pipeline=train_pipeline)), val=dict(pipeline=test_pipeline),
            test=dict(pipeline=test_pipeline))
"""
    )
    cfg = Config.fromfile(str(tmp_path / 'toy.py'))
    train = {step['type']: step for step in cfg.data.train.dataset.pipeline}
    assert train['AugmentMultiViewImages']['final_dim'] == (96, 256)
    assert train['ObjectRangeFilter']['point_cloud_range'] == [-32, -32, -5, 32, 32, 3]
    assert train['ObjectNameFilter']['classes'] == cfg.class_names and len(cfg.class_names) == 10
    assert train['PointsToDepthMap']['depth_bounds'] == (1.0, 40.0, 1.0)
    assert train['LoadLidarPointsFromMultiSweeps']['sweeps_num'] == 4
    assert cfg.data.test.pipeline[2]['final_dim'] == (96, 256) and cfg.data.test.pipeline[2]['test_mode']
    assert cfg.data.train.dataset.info_kind == '4d'
    assert Config.fromstring(cfg.pretty_text, '.py').data.train.dataset.pipeline == cfg.data.train.dataset.pipeline


def test_presets_pass_options_on_and_leave_their_arguments_alone():
    options = dict(
        class_names=['car'],
        point_cloud_range=[-1, -1, -1, 1, 1, 1],
        final_dim=(32, 64),
        depth_bounds=(1.0, 5.0, 1.0),
        decode_reduction=2,
        cameras=('CAM_FRONT',),
        frames=dict(test_index=3),
        image_aug=dict(flip_prob=0.0),
        bev_aug=dict(flip_x_prob=0.0),
    )
    before = copy.deepcopy(options)
    train, test = camera_4d_pipelines(**options)
    assert options == before
    steps = {step['type']: step for step in train}
    assert steps['SelectAdjacentFrames'] == dict(
        type='SelectAdjacentFrames', cameras=('CAM_FRONT',), test_mode=False, test_index=3
    )
    assert steps['LoadMultiViewImages']['decode_reduction'] == 2
    assert steps['AugmentMultiViewImages']['flip_prob'] == 0.0
    assert steps['GlobalBEVAug']['flip_x_prob'] == 0.0
    assert 'points' not in steps['FormatBEVInputs']['keys']
    assert {step['type'] for step in test} == set(steps) - {
        'LoadLidarPointsFromFile',
        'PointsToDepthMap',
        'LoadAnnotations3D',
        'ObjectRangeFilter',
        'ObjectNameFilter',
    }
    train, test = nuscenes_batch.teacher_pipelines(num_sweeps=3, gt_sampling=dict(info_path='a', min_points=2))
    (sampling,) = [step for step in train if step['type'] == 'ObjectSample']
    assert sampling['db_sampler'] == dict(
        type='GTDatabaseSampler', classes=nuscenes_batch.CLASSES, num_sweeps=3, virtual_points=False, info_path='a',
        min_points=2,
    )  # fmt: skip
    assert train.index(sampling) < [step['type'] for step in train].index('GlobalBEVAug')
    assert all(step['type'] != 'ObjectSample' for step in test)
