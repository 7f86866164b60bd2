"""One real keyframe through both converters, every full-size training pipeline and the whole distilled R50 model."""

import resource
import runpy
import sys
import time
import warnings

import pytest
import torch
from helpers.nuscenes_batch import batch_of, move_data
from mmcv import Config
from mmdet3d.datasets import build_dataset
from mmdet3d.models import build_model

from mmdet3d_plugin.datasets.gt_database.files import database_filenames
from mmdet3d_plugin.datasets.infos.info_io import load_infos

DISTILL = 'configs/lidar2camera_bev_distillation/teacher_to_bevdepth4d'
CAMERA = {  # config -> image height and width
    'configs/bevdepth/bevdepth4d_r50_256x704_cbgs_24e_nus.py': (256, 704),
    'configs/bevdepth/bevdepth4d_r101_512x1408_cbgs_24e_nus.py': (512, 1408),
    f'{DISTILL}/centerpoint_to_bevdepth4d_r50_256x704.py': (256, 704),
    f'{DISTILL}/centerpoint_to_bevdepth4d_r101_512x1408.py': (512, 1408),
    f'{DISTILL}/mvp_to_bevdepth4d_r50_256x704.py': (256, 704),
    f'{DISTILL}/mvp_to_bevdepth4d_r101_512x1408.py': (512, 1408),
}
SUFFIXES = {'base': '', '4d': '_4d_interval3_max60'}
LIDAR = [f'configs/centerpoint/centerpoint_pillar02_{kind}_cbgs_20e_nus.py' for kind in ('dynamic', 'hard')]
LIDAR.append('configs/mvp/mvp_pillar02_dynamic_cbgs_20e_nus.py')


@pytest.fixture(scope='module')
def infos(real_virtual_root, repo_root, tmp_path_factory):
    """Folder of the info files and object databases that the two command-line converters write."""
    folder = tmp_path_factory.mktemp('keyframe')
    words = ['--root-path', str(real_virtual_root), '--out-dir', str(folder), '--version', 'v1.0-mini']
    databases = ['nuscenes', '--gt-database', '--virtual']
    for script, first in (('create_data.py', databases), ('data_converter/prepare_nuscenes_for_bevdet4d.py', [])):
        with pytest.MonkeyPatch.context() as patch:
            path = str(repo_root / 'tools' / script)
            patch.setattr(sys, 'argv', [path, *first, *words])
            runpy.run_path(path, run_name='__main__')
    return folder


@pytest.fixture
def sample_of(real_virtual_root, repo_root, infos, monkeypatch):
    """Function: config file -> (its config, the keyframe as its training pipeline delivers it)."""
    monkeypatch.chdir(repo_root)  # a teacher's config is named relative to it

    def load(name):
        cfg = Config.fromfile(name)
        files = {kind: str(infos / f'nuscenes_infos_train{suffix}.pkl') for kind, suffix in SUFFIXES.items()}
        databases = {virtual: str(infos / database_filenames('nuscenes', 'train', virtual)[0]) for virtual in (0, 1)}
        move_data(cfg.data.train, real_virtual_root, files, databases)
        dataset = build_dataset(cfg.data.train)
        dataset.check_files()
        return cfg, dataset[0]

    return load


def test_both_info_files_hold_the_keyframe(infos):
    base = load_infos(infos / 'nuscenes_infos_train.pkl', 'base')
    sequential = load_infos(infos / 'nuscenes_infos_train_4d_interval3_max60.pkl', '4d')
    (info,), (info_4d,) = base['infos'], sequential['infos']
    assert info['token'] == info_4d['token'] and len(info['cams']) == 6 and len(info['gt_boxes']) > 10
    assert 'prev' in info_4d and 'prev' not in info


@pytest.mark.parametrize('name', CAMERA)
def test_camera_training_pipelines(sample_of, name):
    (height, width), (_, sample) = CAMERA[name], sample_of(name)
    batch = batch_of([sample])
    assert batch['img'].shape == (1, 2, 6, 3, height, width) and batch['img'].isfinite().all()
    assert batch['gt_depth'].shape == (1, 6, height // 16, width // 16) and (batch['gt_depth'] > 0).any()
    assert batch['cam2lidar'].shape == (1, 2, 6, 4, 4)
    assert len(batch['gt_bboxes_3d'][0]) == len(batch['gt_labels_3d'][0]) > 0
    assert ('points' in batch) == (DISTILL in name)
    if 'points' in batch:
        assert len(batch['points'][0]) > 10_000 and batch['points'][0].shape[1] == (17 if 'mvp' in name else 5)


@pytest.mark.parametrize('name', LIDAR)
def test_lidar_training_pipelines(sample_of, name):
    batch = batch_of([sample_of(name)[1]])
    assert len(batch['points'][0]) > 10_000 and batch['points'][0].isfinite().all()
    assert len(batch['gt_bboxes_3d'][0]) > 0 and 'img' not in batch
    assert batch['points'][0].shape[1] == (17 if 'mvp' in name else 5)


@pytest.mark.slow
def test_forward_and_backward_of_the_distilled_r50(sample_of):
    """Batch of one on the CPU, a random teacher; prints seconds and peak memory of the process (see them with -s)."""
    cfg, sample = sample_of(f'{DISTILL}/centerpoint_to_bevdepth4d_r50_256x704.py')
    cfg.merge_from_dict({'model.teacher.checkpoint': None, 'model.teacher.allow_random_weights': True})
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # random teacher, no ImageNet weights
        model = build_model(cfg.model, train_cfg=cfg.get('train_cfg'), test_cfg=cfg.get('test_cfg'))
        model.init_weights()
    model.train()
    batch = batch_of([sample])
    start = time.perf_counter()
    outputs = model.train_step(batch, None)
    forward = time.perf_counter()
    outputs['loss'].backward()
    backward = time.perf_counter()

    log = outputs['log_vars']
    assert all(value == value and abs(value) != float('inf') for value in log.values()), log
    for term in ('loss_depth', 'task0.loss_heatmap', 'distill.backbone1.loss_fg', 'distill.head.loss_fp'):
        assert term in log
    assert any(name.startswith('crd.') for name in log)
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert [name for name, parameter in trained.items() if parameter.grad is None] == []
    assert all(torch.isfinite(parameter.grad).all() for parameter in trained.values())
    for part in ('img_backbone.', 'img_view_transformer.', 'pts_bbox_head.', 'distill.aligners.backbone1.',
                 'distill.aligners.backbone2.', 'distill.aligners.head.'):  # fmt: skip
        assert any(parameter.grad.any() for name, parameter in trained.items() if part in name), part
    assert all(parameter.grad is None for parameter in model.teacher.module.parameters())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f'\nforward {forward - start:.1f} s, backward {backward - forward:.1f} s, peak RSS {peak:.2f} GiB, '
        f'{torch.get_num_threads()} thread(s), loss {log["loss"]:.3f}'
    )
