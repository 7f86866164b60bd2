"""The numbers of the method's model and training descriptions, written out, against the loaded full-size configs."""

from functools import cache

import pytest
from mmcv import Config
from mmdet3d.datasets.builder import PIPELINES

TEACHERS = {
    'dynamic': 'configs/centerpoint/centerpoint_pillar02_dynamic_cbgs_20e_nus.py',
    'hard': 'configs/centerpoint/centerpoint_pillar02_hard_cbgs_20e_nus.py',
    'mvp': 'configs/mvp/mvp_pillar02_dynamic_cbgs_20e_nus.py',
}
STUDENTS = {
    'r50': 'configs/bevdepth/bevdepth4d_r50_256x704_cbgs_24e_nus.py',
    'r101': 'configs/bevdepth/bevdepth4d_r101_512x1408_cbgs_24e_nus.py',
}
FOLDER = 'configs/lidar2camera_bev_distillation/teacher_to_bevdepth4d'
DISTILLED = {
    'r50': f'{FOLDER}/centerpoint_to_bevdepth4d_r50_256x704.py',
    'r101': f'{FOLDER}/centerpoint_to_bevdepth4d_r101_512x1408.py',
    'mvp r50': f'{FOLDER}/mvp_to_bevdepth4d_r50_256x704.py',
    'mvp r101': f'{FOLDER}/mvp_to_bevdepth4d_r101_512x1408.py',
}
TASKS = [
    ['car'],
    ['truck', 'construction_vehicle'],
    ['bus', 'trailer'],
    ['barrier'],
    ['motorcycle', 'bicycle'],
    ['pedestrian', 'traffic_cone'],
]
RANGE = [-51.2, -51.2, -5.0, 51.2, 51.2, 3.0]

HEAD = {
    'pts_bbox_head.share_conv_channel': 64,
    'pts_bbox_head.loss_cls.type': 'GaussianFocalLoss',
    'pts_bbox_head.loss_bbox.type': 'L1Loss',
    'pts_bbox_head.loss_bbox.loss_weight': 0.25,
    'pts_bbox_head.common_heads': dict(reg=(2, 2), height=(1, 2), dim=(3, 2), rot=(2, 2), vel=(2, 2)),
    'train_cfg.pts.gaussian_overlap': 0.1,
    'train_cfg.pts.min_radius': 2,
    'train_cfg.pts.max_objs': 500,
    'train_cfg.pts.point_cloud_range': RANGE,
    'test_cfg.pts.post_max_size': 83,
}
TEACHER = {
    **HEAD,
    'pts_voxel_layer.voxel_size': [0.2, 0.2, 8],
    'pts_voxel_layer.point_cloud_range': RANGE,
    'pts_voxel_encoder.feat_channels': [64],
    'pts_middle_encoder.output_shape': [512, 512],
    'pts_backbone.layer_nums': [3, 5, 5],
    'pts_backbone.layer_strides': [2, 2, 2],
    'pts_backbone.out_channels': [64, 128, 256],
    'pts_neck.upsample_strides': [0.5, 1, 2],
    'pts_neck.out_channels': [128, 128, 128],
    'pts_bbox_head.in_channels': 384,
    'train_cfg.pts.code_weights': [1.0] * 8 + [0.2, 0.2],
    'test_cfg.pts.nms_type': 'rotate',
    'test_cfg.pts.nms_thr': 0.2,
}
VOXELS = {
    'dynamic': {
        'pts_voxel_layer.max_num_points': -1,
        'pts_voxel_encoder.type': 'DynamicPillarEncoder',
        'pts_voxel_encoder.in_channels': 5,
        'pts_voxel_encoder.center_dims': 2,
    },
    'mvp': {
        'pts_voxel_layer.max_num_points': -1,
        'pts_voxel_encoder.type': 'VirtualPillarEncoder',
        'pts_voxel_encoder.in_channels': 17,
        'pts_voxel_encoder.center_dims': 2,
    },
    'hard': {
        'pts_voxel_layer.max_num_points': 20,
        'pts_voxel_layer.max_voxels': (30000, 40000),
        'pts_voxel_encoder.type': 'PillarFeatureNet',
        'pts_voxel_encoder.in_channels': 5,
    },
}
TEACHER_RECIPE = {
    'optimizer': dict(type='AdamW', lr=1e-4, weight_decay=0.01),
    'optimizer_config.grad_clip.max_norm': 35,
    'lr_config.policy': 'cyclic',
    'runner.max_epochs': 20,
    'data.train.type': 'SeededCBGSDataset',
}
OBJECTS_PER_CLASS = dict(
    car=2, truck=3, construction_vehicle=7, bus=4, trailer=6, barrier=2, motorcycle=6, bicycle=6, pedestrian=2,
    traffic_cone=2,
)  # fmt: skip
STUDENT = {
    **HEAD,
    'num_frames': 2,
    'point_cloud_range': RANGE,
    'img_backbone.out_indices': (2, 3),
    'img_neck.out_channels': 512,
    'img_view_transformer.stride': 16,
    'img_view_transformer.in_channels': 512,
    'img_view_transformer.out_channels': 64,
    'img_view_transformer.depth_bound': (1.0, 60.0, 1.0),
    'img_view_transformer.xbound': (-51.2, 51.2, 0.8),
    'img_view_transformer.ybound': (-51.2, 51.2, 0.8),
    'img_view_transformer.depth_channels': 256,
    'img_view_transformer.depth_blocks': 3,
    'img_view_transformer.loss_depth_weight': 100.0,
    'pre_process_net.channels': (64,),
    'pre_process_net.num_blocks': (2,),
    'img_bev_encoder_backbone.in_channels': 128,
    'img_bev_encoder_backbone.channels': (128, 256, 512),
    'img_bev_encoder_backbone.num_blocks': (2, 2, 2),
    'img_bev_encoder_backbone.strides': (2, 2, 2),
    'img_bev_encoder_neck.in_channels': (128, 512),
    'img_bev_encoder_neck.out_channels': 256,
    'img_bev_encoder_neck.extra_norm_act': True,
    'pts_bbox_head.in_channels': 256,
    'pts_bbox_head.velocity_mode': 'displacement',
    'train_cfg.pts.code_weights': [1.0] * 10,
    'test_cfg.pts.nms_type': ['rotate', 'rotate', 'rotate', 'circle', 'rotate', 'rotate'],
    'test_cfg.pts.nms_thr': [0.2, 0.2, 0.2, 0.2, 0.2, 0.5],
    'test_cfg.pts.nms_rescale_factor': [1.0, [0.7, 0.7], [0.4, 0.55], 1.1, [1.0, 1.0], [4.5, 9.0]],
}
IMAGES = {
    'r50': {'img_backbone.depth': 50, 'img_view_transformer.image_size': (256, 704)},
    'r101': {'img_backbone.depth': 101, 'img_view_transformer.image_size': (512, 1408)},
}
STUDENT_RECIPE = {
    'optimizer': dict(type='AdamW', lr=2e-4, weight_decay=0.01),
    'optimizer_config.grad_clip.max_norm': 5,
    'lr_config': dict(policy='step', warmup='linear', warmup_iters=500, warmup_ratio=0.001, step=[16, 22]),
    'runner.max_epochs': 24,
    'data.train.type': 'SeededCBGSDataset',
}
INNER_LOSS = dict(fg_weight=6e-3, bg_weight=4e-2, spatial_weight=2.5e-3)
DISTILLATION = {
    'levels.backbone1.aligner.type': 'AOAAligner',
    'levels.backbone2.aligner.type': 'AOAAligner',
    'levels.head.aligner.type': 'Conv1x1Aligner',
    **{
        f'levels.{level}.loss.{name}': value
        for level in ('backbone1', 'backbone2', 'head')
        for name, value in dict(INNER_LOSS, attention='teacher_student').items()
    },
    **{f'levels.{level}.regions.cell_anchor': 'center' for level in ('backbone1', 'backbone2', 'head')},
    'levels.head.loss.fp_weight': 6e-2,
    'levels.head.loss.fp_channel_attention': True,
    'response.type': 'CrossHeadBoxLoss',
    'response.temperature': 0.1,
    'response.score_threshold': 0.1,
    'response.loss_weight': 1.0,
    'response.nms': dict(nms_type='rotate', nms_thr=0.2, post_max_size=83),
    'inherit_head': True,
}
STEPS = {
    'AugmentMultiViewImages': dict(resize_range=(-0.06, 0.11), rot_range=(-5.4, 5.4), flip_prob=0.5, test_resize=0.04),
    'GlobalBEVAug': dict(rot_range=(-22.5, 22.5), scale_range=(0.95, 1.05), flip_x_prob=0.5, flip_y_prob=0.5),
    'SelectAdjacentFrames': dict(min_index=2, max_index=9, test_index=5),
}


@cache
def load(repo_root, path):
    return Config.fromfile(str(repo_root / path))


def plain(value):
    """Tuples as lists, so that only numbers and names are compared."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def look_up(cfg, path):
    for part in path.split('.'):
        cfg = cfg[part]
    return plain(cfg)


def check(cfg, table):
    wrong = {path: look_up(cfg, path) for path, value in table.items() if look_up(cfg, path) != plain(value)}
    assert wrong == {}


def training_step(cfg, name):
    """The step as it runs: defaults and what the config overrides."""
    (step,) = [step for step in cfg.data.train.dataset.pipeline if step['type'] == name]
    return PIPELINES.build(step.copy())


@pytest.mark.parametrize('name', TEACHERS)
def test_teacher(repo_root, name):
    cfg = load(repo_root, TEACHERS[name])
    check(cfg.model, {**TEACHER, **VOXELS[name]})
    check(cfg, TEACHER_RECIPE)
    assert [task['class_names'] for task in cfg.model.pts_bbox_head.tasks] == TASKS
    assert cfg.model.pts_bbox_head.get('velocity_mode', 'velocity') == 'velocity'
    for pipeline in (cfg.data.train.dataset.pipeline, cfg.data.test.pipeline):
        # ten with the keyframe
        assert [step['sweeps_num'] for step in pipeline if step['type'].endswith('MultiSweeps')] == [9]
        assert (pipeline[0]['type'] == 'LoadVirtualPointsFromFile') == (name == 'mvp')


@pytest.mark.parametrize('name', TEACHERS)
def test_ground_truth_sampling_of_the_teacher(repo_root, name):
    """mmdet3d's numbers; the database is the one for the points of the pipeline."""
    cfg = load(repo_root, TEACHERS[name])
    (step,) = [step for step in cfg.data.train.dataset.pipeline if step['type'] == 'ObjectSample']
    suffix = '_virtual' if name == 'mvp' else ''
    expected = dict(
        type='GTDatabaseSampler',
        info_path=f'data/nuscenes/nuscenes_dbinfos_train{suffix}.pkl',
        sample_groups=OBJECTS_PER_CLASS,
        min_points=5,
        num_sweeps=10,
        virtual_points=name == 'mvp',
        classes=sum(TASKS, []),
    )
    assert plain(step['db_sampler']) == plain(expected)
    (step,) = [step for step in cfg.data.train.dataset.pipeline if step['type'] == 'GlobalBEVAug']
    step = PIPELINES.build(step.copy())
    assert {key: plain(getattr(step, key)) for key in STEPS['GlobalBEVAug']} == plain(STEPS['GlobalBEVAug'])


@pytest.mark.parametrize('name', STUDENTS)
def test_student(repo_root, name):
    cfg = load(repo_root, STUDENTS[name])
    check(cfg.model, {**STUDENT, **IMAGES[name]})
    check(cfg, STUDENT_RECIPE)
    assert [task['class_names'] for task in cfg.model.pts_bbox_head.tasks] == TASKS
    low, high, step = cfg.model.img_view_transformer.depth_bound
    assert (high - low) / step == 59


@pytest.mark.parametrize('name', DISTILLED)
def test_distillation(repo_root, name):
    cfg = load(repo_root, DISTILLED[name])
    check(cfg.model, DISTILLATION)
    assert cfg.model.teacher.config == TEACHERS['mvp' if 'mvp' in name else 'dynamic']
    check(cfg.model.student, {**STUDENT, **IMAGES[name.split()[-1]]})
    check(cfg, STUDENT_RECIPE)
    assert set(cfg.model.levels) == {'backbone1', 'backbone2', 'head'}
    for level in ('backbone1', 'backbone2'):
        assert not cfg.model.levels[level].loss.get('fp_weight')


@pytest.mark.parametrize('path', [*STUDENTS.values(), *DISTILLED.values()])
def test_student_augmentation(repo_root, path):
    cfg = load(repo_root, path)
    for name, numbers in STEPS.items():
        step = training_step(cfg, name)
        assert {key: plain(getattr(step, key)) for key in numbers} == plain(numbers)


def test_batch_of_the_recipe(repo_root):
    assert load(repo_root, DISTILLED['r50']).data.samples_per_gpu == 8  # on 8 GPUs: 64
