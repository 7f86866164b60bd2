"""The MVP teacher on generated data through the command-line tools: sampled objects, resume, test, distillation."""

import json

import pytest
from helpers.nuscenes_batch import load_tables, write_infos

from mmdet3d_plugin.datasets.gt_database.build import build_database

TEACHER = """
from mmdet3d_plugin.datasets.pipelines.presets import lidar_pipelines
_base_ = {base!r}
train_pipeline = lidar_pipelines(
    class_names={{{{_base_.class_names}}}}, point_cloud_range={{{{_base_.point_cloud_range}}}}, num_sweeps=2,
    virtual_points=True, gt_sampling=dict(info_path={database!r}, sample_groups=dict(car=8, bus=3), min_points=1))[0]
data = dict(train=dict(pipeline=train_pipeline))
lr_config = dict(_delete_=True, policy='fixed')  # a cycle over one epoch is not the first half of one over two
momentum_config = None
"""


@pytest.fixture(scope='module')
def files(virtual_nuscenes, tmp_path_factory):
    """Info files of one scene by kind, and its object database."""
    nusc = load_tables(virtual_nuscenes)
    nusc.scene = nusc.scene[:1]  # four samples
    folder = tmp_path_factory.mktemp('files')
    infos = {kind: str(write_infos(nusc, folder, kind)) for kind in ('base', '4d')}
    database = build_database(infos['base'], virtual_nuscenes, 'nuscenes', num_sweeps=2, virtual_points=True)[0]
    return infos, str(database)


@pytest.fixture
def options(files, virtual_nuscenes):
    def build(kind):
        words = ['data.samples_per_gpu=2', 'data.workers_per_gpu=2', 'runner.max_epochs=2', 'log_config.interval=1']
        for split in ('train', 'val', 'test'):
            words += [f'data.{split}.data_root={virtual_nuscenes}', f'data.{split}.ann_file={files[0][kind]}']
        return words

    return build


def terms(log):
    return {key: {name: value for name, value in line.items() if 'loss' in name} for key, line in log.items()}


@pytest.mark.slow
def test_teacher_with_sampled_objects_resumes_is_tested_and_teaches(
    train, run_test_tool, options, files, repo_root, tmp_path, monkeypatch
):
    monkeypatch.chdir(repo_root)
    config = tmp_path / 'mvp_sampled.py'
    config.write_text(TEACHER.format(base=str(repo_root / 'configs/quickstart/mvp_toy.py'), database=files[1]))
    words = ['--no-validate', '--cfg-options', *options('base')]
    whole = train(config, '--work-dir', tmp_path / 'whole', *words)
    train(config, '--work-dir', tmp_path / 'half', *words, 'runner.max_epochs=1')
    resumed = train(config, '--work-dir', tmp_path / 'half', '--auto-resume', *words)
    assert {epoch for epoch, _ in resumed} == {2}
    assert terms(resumed) == {key: value for key, value in terms(whole).items() if key[0] == 2}

    checkpoint = tmp_path / 'half' / 'epoch_2.pth'
    run_test_tool(config, checkpoint, '--eval', 'mAP', '--work-dir', tmp_path / 'eval', *words[1:])
    metrics = json.loads(next((tmp_path / 'eval').glob('eval_*.json')).read_text())['metric']
    assert {'mAP', 'NDS'} <= set(metrics)

    log = train('configs/quickstart/dualdistill_mvp_toy.py', '--work-dir', tmp_path / 'distilled', '--no-validate',
                '--cfg-options', *options('4d'), 'runner.max_epochs=1', f'model.teacher.checkpoint={checkpoint}',
                'model.student.img_backbone.base_channels=8',
                'model.student.img_neck.in_channels=[16,32]')  # fmt: skip
    names = set(terms(log)[1, 1])
    assert {'loss_depth', 'distill.head.loss_fp', 'distill.backbone1.loss_fg', 'crd.task0.loss_heatmap'} <= names
