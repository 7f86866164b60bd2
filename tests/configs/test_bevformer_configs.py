"""The published numbers of BEVFormer and its teachers, written out, against the loaded configs."""

from pathlib import Path

import pytest
from mmcv import Config
from mmdet3d.datasets.builder import PIPELINES

from mmdet3d_plugin.distill import student_model_cfg

FOLDER = 'configs/lidar2camera_bev_distillation/teacher_to_bevformer'
TEACHERS = {name: f'configs/{name}/{name}_voxel0064_cbgs_20e_nus.py' for name in ('lidarformer', 'mvpformer')}
STUDENTS = {size: f'configs/bevformer/bevformer_{size}_928x1600_24e_nus.py' for size in ('r50', 'r101')}
RELEASED = [(teacher, size) for teacher in TEACHERS for size in STUDENTS]
RANGE = [-51.2, -51.2, -5.0, 51.2, 51.2, 3.0]
# order of the cameras' embeddings in published weights
CAMERAS = [f'CAM_{name}' for name in ('FRONT', 'FRONT_RIGHT', 'FRONT_LEFT', 'BACK', 'BACK_LEFT', 'BACK_RIGHT')]

HEAD = {
    'type': 'DETRBEVHead',
    'in_channels': 256,
    'num_query': 900,
    'num_groups': 1,
    'transformer.num_layers': 6,
    'transformer.num_heads': 8,
    'transformer.num_points': 4,
    'transformer.feedforward_channels': 512,
    'transformer.dropout': 0.1,
    'bbox_coder.pc_range': RANGE,
    'bbox_coder.post_center_range': [-61.2, -61.2, -10.0, 61.2, 61.2, 10.0],
    'bbox_coder.max_num': 300,
    'loss_cls': dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=2.0),
    'loss_bbox': dict(type='L1Loss', loss_weight=0.25),
    'code_weights': [1.0] * 8 + [0.2, 0.2],
}
COSTS = dict(cls_cost=dict(type='FocalLossCost', weight=2.0), reg_cost=dict(type='BoxCodeL1Cost', weight=0.25))
STUDENT = {
    'cameras': CAMERAS,
    'grid_mask': dict(prob=0.7),
    'img_backbone.out_indices': [1, 2, 3],
    'img_backbone.frozen_stages': -1,
    'img_backbone.norm_eval': False,
    'img_backbone.with_cp': True,
    'img_backbone.style': 'pytorch',
    'img_neck.in_channels': [512, 1024, 2048],
    'img_neck.out_channels': 256,
    'img_neck.num_outs': 4,
    'img_neck.add_extra_convs': 'on_output',
    'bev_encoder.point_cloud_range': RANGE,
    'bev_encoder.bev_size': [200, 200],
    'bev_encoder.num_layers': 6,
    'bev_encoder.num_heads': 8,
    'bev_encoder.num_levels': 4,
    'bev_encoder.feedforward_channels': 512,
    'bev_encoder.pillar_points': 4,
    'bev_encoder.temporal_points': 4,
    'bev_encoder.spatial_points': 8,
    'bev_encoder.dropout': 0.1,
}
STUDENT_RECIPE = {
    'optimizer': dict(
        type='AdamW', lr=2e-4, weight_decay=0.01, paramwise_cfg=dict(custom_keys=dict(img_backbone=dict(lr_mult=0.1)))
    ),
    'optimizer_config': dict(grad_clip=dict(max_norm=35, norm_type=2)),
    'lr_config': dict(
        policy='CosineAnnealing', warmup='linear', warmup_iters=500, warmup_ratio=1 / 3, min_lr_ratio=1e-3
    ),
    'runner.max_epochs': 24,
    'data.samples_per_gpu': 1,  # on 8 GPUs: 8
    'data.train.type': 'NuScenesBEVDataset',  # no class-balanced sampling
    'data.train.ann_file': 'data/nuscenes/nuscenes_infos_train.pkl',
    'data.test.ann_file': 'data/nuscenes/nuscenes_infos_val.pkl',
}
TEACHER = {
    'pts_voxel_layer.voxel_size': [0.064, 0.064, 0.2],
    'pts_voxel_layer.point_cloud_range': RANGE,
    'pts_middle_encoder.sparse_shape': [41, 1600, 1600],
    'pts_middle_encoder.base_channels': 16,
    'pts_middle_encoder.output_channels': 128,
    'pts_middle_encoder.encoder_channels': [[16, 16, 32], [32, 32, 64], [64, 64, 128], [128, 128]],
    'pts_middle_encoder.encoder_paddings': [[0, 0, 1], [0, 0, 1], [0, 0, [0, 1, 1]], [0, 0]],
    'pts_middle_encoder.norm_cfg': dict(type='BN1d', eps=1e-3, momentum=0.01),
    'pts_backbone.out_channels': [128, 256],
    'pts_backbone.layer_nums': [5, 5],
    'pts_backbone.layer_strides': [1, 2],
    'pts_backbone.norm_cfg': dict(type='BN', eps=1e-3, momentum=0.01),
    'pts_neck.num_outs': 4,
    'pts_neck.norm_cfg': dict(type='BN', eps=1e-3, momentum=0.01),
    'pts_neck.act_cfg': dict(type='ReLU'),
    'bev_encoder.bev_size': [200, 200],
    'bev_encoder.num_layers': 6,
    'bev_encoder.num_points': 4,
    'bev_encoder.feedforward_channels': 512,
}
VOXELS = {
    'lidarformer': {
        'pts_voxel_layer.max_num_points': 10,
        'pts_voxel_layer.max_voxels': [90000, 120000],
        'pts_voxel_encoder': dict(type='HardSimpleVFE', num_features=5),
        'pts_middle_encoder.in_channels': 5,
    },
    'mvpformer': {
        'pts_voxel_layer.max_num_points': -1,
        'pts_voxel_encoder': dict(type='VirtualVoxelEncoder', virtual_time='flag'),
        'pts_middle_encoder.in_channels': 23,
    },
}
TEACHER_RECIPE = {
    'optimizer': dict(type='AdamW', lr=5e-5, weight_decay=0.01),
    'optimizer_config': dict(grad_clip=dict(max_norm=35, norm_type=2)),
    'lr_config': dict(policy='cyclic', target_ratio=[10, 1e-4], cyclic_times=1, step_ratio_up=0.4),
    'momentum_config': dict(policy='cyclic', target_ratio=[0.85 / 0.95, 1], cyclic_times=1, step_ratio_up=0.4),
    'runner.max_epochs': 20,
    'data.train.type': 'SeededCBGSDataset',
}
LOSS = dict(
    type='RegionWeightedFeatureLoss', fg_weight=5e-3, bg_weight=4e-3, spatial_weight=5e-4, attention='teacher',
    temperature=0.5,
)  # fmt: skip
RELEASED_NORM = dict(mean=[103.53, 116.28, 123.675], std=[1.0, 1.0, 1.0], to_rgb=False, size_divisor=32, scale=1.0)
IMAGENET_NORM = dict(
    mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True, size_divisor=32, scale=1.0
)


def plain(value):
    """Tuples as lists."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def check(cfg, table):
    def look_up(path):
        found = cfg
        for part in path.split('.'):
            found = found.get(part, 1 if part == 'num_groups' else None)
        return plain(found)

    assert {path: look_up(path) for path, value in table.items() if look_up(path) != value} == {}


def load(teacher, size):
    return Config.fromfile(f'{FOLDER}/{teacher}_to_bevformer_nus_1x1conv_{size}.py')


def steps_of(cfg, split):
    """The steps as they run, by class name: defaults and what the config says."""
    data = cfg.data[split]
    return {step['type']: PIPELINES.build(step.copy()) for step in data.get('dataset', data).pipeline}


@pytest.fixture(autouse=True)
def _in_repository(monkeypatch, repo_root):
    monkeypatch.chdir(repo_root)


@pytest.mark.parametrize('size', STUDENTS)
def test_student(size):
    cfg = Config.fromfile(STUDENTS[size])
    check(cfg.model, {**STUDENT, 'img_backbone.depth': int(size[1:])})
    check(cfg.model.pts_bbox_head, HEAD)
    assert cfg.model.train_cfg.pts.assigner == dict(type='HungarianBoxAssigner', **COSTS)
    check(cfg, STUDENT_RECIPE)


@pytest.mark.parametrize('path', [*STUDENTS.values(), f'{FOLDER}/mvpformer_to_bevformer_nus_1x1conv_r101.py'])
def test_images_and_queue_of_the_student(path):
    cfg = Config.fromfile(path)
    train, test = steps_of(cfg, 'train'), steps_of(cfg, 'test')
    assert (train['SelectKeyframeQueue'].queue_length, test['SelectKeyframeQueue'].queue_length) == (4, 1)
    for steps in (train, test):
        norm = steps['NormalizePad']
        assert {key: plain(getattr(norm, key)) for key in ('to_rgb', 'size_divisor', 'scale')} == {
            key: RELEASED_NORM[key] for key in ('to_rgb', 'size_divisor', 'scale')
        }
        assert (norm.mean.tolist(), norm.std.tolist()) == (RELEASED_NORM['mean'], RELEASED_NORM['std'])
        assert list(steps['SelectKeyframeQueue'].cameras) == CAMERAS
        assert steps['GlobalBEVAug'].test_mode  # no augmentation
    colours = train['PhotometricDistortion']
    assert 'PhotometricDistortion' not in test
    assert (colours.brightness_delta, colours.hue_delta) == (32, 18)
    assert (colours.contrast_lower, colours.contrast_upper) == (0.5, 1.5)
    assert (colours.saturation_lower, colours.saturation_upper) == (0.5, 1.5)


@pytest.mark.parametrize('name', TEACHERS)
def test_teacher(name):
    cfg = Config.fromfile(TEACHERS[name])
    check(cfg.model, {**TEACHER, **VOXELS[name]})
    check(cfg.model.pts_bbox_head, HEAD)
    check(cfg, {**TEACHER_RECIPE, 'data.samples_per_gpu': dict(lidarformer=2, mvpformer=3)[name]})
    train = steps_of(cfg, 'train')
    assert 'ObjectSample' not in train
    aug = train['GlobalBEVAug']
    assert (plain(aug.rot_range), plain(aug.scale_range)) == ([-22.5, 22.5], [0.95, 1.05])
    assert (aug.flip_x_prob, aug.flip_y_prob) == (0.5, 0.5)
    virtual = 'LoadVirtualPointsFromFile' in train
    assert virtual == (name == 'mvpformer')


@pytest.mark.parametrize('teacher, size', RELEASED)
def test_distillation(teacher, size):
    cfg, student = load(teacher, size), Config.fromfile(STUDENTS[size])
    assert cfg.model.levels == dict(
        bev=dict(aligner=dict(type='Conv1x1Aligner'), loss=LOSS, regions=dict(cell_anchor='center'))
    )
    assert cfg.model.get('response') is None and cfg.model.inherit_head == ['branches', 'decoder']
    assert cfg.model.teacher.config == TEACHERS[teacher]
    assert cfg.model.teacher.checkpoint == f'outputs/{Path(TEACHERS[teacher]).stem}/epoch_20.pth'
    assert student_model_cfg(cfg.model) == student.model
    for key in ('optimizer', 'optimizer_config', 'lr_config', 'runner'):
        assert cfg[key] == student[key]
    assert cfg.data.test == student.data.test
    added = [step for step in cfg.data.train.pipeline if step not in student.data.train.pipeline]
    points = Config.fromfile(TEACHERS[teacher]).data.test.pipeline[:2]  # as the teacher's own test pipeline loads them
    assert added[:2] == points and [step['type'] for step in added[2:]] == ['PointsRangeFilter', 'FormatBEVInputs']


@pytest.mark.parametrize('name, changed', [('crd', 'response'), ('aoa', 'levels')])
def test_our_own_configs_change_one_part(name, changed):
    cfg, released = Config.fromfile(f'{FOLDER}/lidarformer_to_bevformer_nus_{name}_r50.py'), load('lidarformer', 'r50')
    assert cfg.data == released.data
    assert {key for key in cfg.model if cfg.model[key] != released.model.get(key)} == {changed}
    assert "This project's own, not the release's" in Path(cfg.filename).read_text()


def test_normalisation_of_imagenet_is_a_config_of_its_own():
    cfg = Config.fromfile(STUDENTS['r50'].replace('.py', '_imagenet_norm.py'))
    for split in ('train', 'val', 'test'):
        norm = steps_of(cfg, split)['NormalizePad']
        told = {key: value for key, value in vars(norm).items() if not key.startswith('_')}
        assert {key: plain(value) for key, value in told.items() if key not in ('mean', 'std')} == {
            key: value for key, value in IMAGENET_NORM.items() if key not in ('mean', 'std')
        }
        assert (norm.mean.tolist(), norm.std.tolist()) == (IMAGENET_NORM['mean'], IMAGENET_NORM['std'])
    norm = {key: IMAGENET_NORM[key] for key in ('mean', 'std', 'to_rgb')}
    assert cfg.model == dict(Config.fromfile(STUDENTS['r50']).model, image_norm=norm)
