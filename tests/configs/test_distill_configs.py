"""Distillation configs: inheritance, overrides, and the full-size wiring of the method."""

import warnings
from pathlib import Path

import pytest
from mmcv import Config
from mmdet3d.models import build_detector

from mmdet3d_plugin.distill import student_model_cfg

FOLDER = 'configs/lidar2camera_bev_distillation/teacher_to_bevdepth4d'
PAIRS = {
    'centerpoint_to_bevdepth4d_r50_256x704': 'bevdepth4d_r50_256x704_cbgs_24e_nus',
    'centerpoint_to_bevdepth4d_r101_512x1408': 'bevdepth4d_r101_512x1408_cbgs_24e_nus',
    'mvp_to_bevdepth4d_r50_256x704': 'bevdepth4d_r50_256x704_cbgs_24e_nus',
    'mvp_to_bevdepth4d_r101_512x1408': 'bevdepth4d_r101_512x1408_cbgs_24e_nus',
}
WIRING = {
    'backbone1': ('256@32x32', '128@128x128'),
    'backbone2': ('512@16x16', '256@64x64'),
    'head': ('256@128x128', '384@128x128'),
}


def load(name):
    return Config.fromfile(f'{FOLDER}/{name}.py')


@pytest.fixture(autouse=True)
def _in_repository(monkeypatch, repo_root):
    monkeypatch.chdir(repo_root)


@pytest.mark.parametrize('name', PAIRS)
def test_full_size_wiring(name):
    cfg = load(name)
    cfg.merge_from_dict({'model.teacher.checkpoint': None, 'model.teacher.allow_random_weights': True})
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # random teacher, absent ImageNet weights
        model = build_detector(cfg.model)
    aligners = model.distill['aligners']
    assert {level: (str(a.student), str(a.teacher)) for level, a in aligners.items()} == WIRING
    weights = {level: loss.weights for level, loss in model.distill['losses'].items()}
    inner = dict(fg=6e-3, bg=4e-2, spatial=2.5e-3)
    assert weights == dict(backbone1=inner, backbone2=inner, head=dict(inner, fp=6e-2))
    assert (model.response.temperature, model.response.score_threshold, model.response.loss_weight) == (0.1, 0.1, 1.0)
    assert model.student.head.velocity_mode == 'displacement'
    assert model.teacher.head.velocity_mode == 'velocity'


@pytest.mark.parametrize(('name', 'plain'), PAIRS.items())
def test_student_is_the_undistilled_one(name, plain):
    cfg, undistilled = load(name), Config.fromfile(f'configs/bevdepth/{plain}.py')
    assert student_model_cfg(cfg.model) == undistilled.model
    for key in ('optimizer', 'optimizer_config', 'lr_config', 'runner'):
        assert cfg[key] == undistilled[key]
    assert cfg.data.test == undistilled.data.test
    assert cfg.data.samples_per_gpu == undistilled.data.samples_per_gpu


@pytest.mark.parametrize('name', PAIRS)
def test_training_data_hold_points_for_the_teacher_and_test_data_none(name):
    cfg = load(name)
    train, test = cfg.data.train.dataset.pipeline, cfg.data.test.pipeline
    assert 'points' in train[-1]['keys'] and 'points' not in test[-1]['keys']
    sweeps = [step['sweeps_num'] for step in train if step['type'].endswith('MultiSweeps')]
    assert sweeps == [9]  # beside the keyframe: ten sweeps, as the teacher was trained with
    images = [step for step in train if step['type'] == 'AugmentMultiViewImages']
    assert tuple(images[0]['final_dim']) == tuple(cfg.model.student.img_view_transformer.image_size)


@pytest.mark.parametrize('name', [name for name in PAIRS if name.startswith('mvp')])
def test_mvp_changes_the_teacher_and_its_points_only(name):
    mvp, centerpoint = load(name), load(name.replace('mvp', 'centerpoint'))
    teacher = Config.fromfile(mvp.model.teacher.config)
    assert mvp.model.teacher.checkpoint == f'outputs/{Path(mvp.model.teacher.config).stem}/epoch_20.pth'
    assert teacher.runner.max_epochs == 20
    for cfg in (mvp, centerpoint):
        cfg.model.teacher = None
    assert mvp.model == centerpoint.model
    steps, others = (cfg.data.train.dataset.pipeline for cfg in (mvp, centerpoint))
    assert [step for step in steps if 'Virtual' not in step['type']] == [
        step for step in others if step['type'] != 'LoadLidarPointsFromMultiSweeps'
    ]
    virtual = [step for step in steps if 'Virtual' in step['type']]
    assert virtual == teacher.data.test.pipeline[:2]  # as the teacher's own test pipeline loads them
    depth = [step['type'] for step in steps].index('PointsToDepthMap')
    assert depth < steps.index(virtual[0])  # depth supervision sees what the LiDAR measured


@pytest.mark.parametrize('name', PAIRS)
def test_no_objects_are_pasted_into_a_student_s_samples(name):
    """Nobody pastes them into the images."""
    assert all(step['type'] != 'ObjectSample' for step in load(name).data.train.dataset.pipeline)


def test_toy_mvp_teacher_differs_from_the_toy_centerpoint_in_its_points_only():
    mvp, centerpoint = (Config.fromfile(f'configs/quickstart/{name}_toy.py') for name in ('mvp', 'centerpoint'))
    assert mvp.model.pts_voxel_encoder.pop('type') == 'VirtualPillarEncoder'
    assert centerpoint.model.pts_voxel_encoder.pop('type') == 'DynamicPillarEncoder'
    assert (mvp.model.pts_voxel_encoder.pop('in_channels'), centerpoint.model.pts_voxel_encoder.pop('in_channels')) == (
        17,
        5,
    )
    scales = [cfg.model.pts_voxel_encoder.pop('input_scale') for cfg in (mvp, centerpoint)]
    assert scales[0] == [*scales[1][:4], *[1.0] * 12, *scales[1][4:]]  # labels and flag behind the intensity
    assert mvp.model == centerpoint.model
    for key in ('optimizer', 'lr_config', 'runner', 'log_config', 'evaluation'):
        assert mvp[key] == centerpoint[key]
    for split in ('train', 'test'):
        ours, theirs = mvp.data[split].pipeline, centerpoint.data[split].pipeline
        assert ours[2:] == theirs[2:] and ours[1]['sweeps_num'] == theirs[1]['sweeps_num']
        same = set(mvp.data[split]) - {'pipeline', 'modality', 'data_root', 'ann_file'}
        assert all(mvp.data[split][key] == centerpoint.data[split][key] for key in same)
        assert mvp.data[split].ann_file == centerpoint.data[split].ann_file.replace('quickstart', 'quickstart_mvp')


def test_toy_distillation_from_mvp_differs_in_the_teacher_only():
    mvp, centerpoint = (
        Config.fromfile(f'configs/quickstart/{name}_toy.py') for name in ('dualdistill_mvp', 'dualdistill')
    )
    teacher = Config.fromfile(mvp.model.teacher.config)
    assert mvp.model.teacher.config == 'configs/quickstart/mvp_toy.py'
    assert mvp.model.teacher.checkpoint == f'outputs/quickstart_mvp/teacher/epoch_{teacher.runner.max_epochs}.pth'
    for cfg in (mvp, centerpoint):
        cfg.model.teacher = None
    assert mvp.model == centerpoint.model
    for key in ('optimizer', 'lr_config', 'runner'):
        assert mvp[key] == centerpoint[key]
    assert mvp.data.test.pipeline == centerpoint.data.test.pipeline
    assert mvp.data.test.ann_file == centerpoint.data.test.ann_file.replace('quickstart', 'quickstart_mvp')
    steps, others = (cfg.data.train.pipeline for cfg in (mvp, centerpoint))
    assert [step for step in steps if 'Virtual' not in step['type']] == [
        step for step in others if step['type'] != 'LoadLidarPointsFromMultiSweeps'
    ]
    assert [step for step in steps if 'Virtual' in step['type']] == teacher.data.test.pipeline[:2]


def test_one_option_swaps_one_part():
    cfg = load('centerpoint_to_bevdepth4d_r50_256x704')
    cfg.merge_from_dict(
        {
            'model.levels.backbone1.aligner.orthogonal': False,
            'model.levels.backbone2': None,
            'model.levels.head.regions.cell_anchor': 'corner',
            'model.response': dict(_delete_=True, type='CrossHeadDenseLoss'),
        }
    )
    assert cfg.model.levels.backbone1.aligner == dict(type='AOAAligner', orthogonal=False)
    assert cfg.model.levels.backbone1.regions.cell_anchor == 'center'
    assert cfg.model.levels.head.regions.cell_anchor == 'corner'
    assert cfg.model.response == dict(type='CrossHeadDenseLoss')


def test_a_child_config_swaps_an_aligner_in_one_line(tmp_path, repo_root):
    child = tmp_path / 'child.py'
    base = repo_root / FOLDER / 'centerpoint_to_bevdepth4d_r50_256x704.py'
    child.write_text(
        f"_base_ = '{base}'\n"
        'model = dict(levels=dict('
        "backbone1=dict(aligner=dict(_delete_=True, type='Conv1x1Aligner')), backbone2=None))\n"
    )
    levels = Config.fromfile(str(child)).model.levels
    assert levels.backbone1.aligner == dict(type='Conv1x1Aligner') and levels.backbone2 is None
    assert levels.head == load('centerpoint_to_bevdepth4d_r50_256x704').model.levels.head
