"""The second family through the command-line tools: LidarFormer, distilled BEVFormer, and the README's test command."""

import json

import pytest
import torch
from helpers.nuscenes_batch import load_tables, write_infos

TEACHER = 'configs/quickstart/lidarformer_toy.py'
DISTILLED = 'configs/quickstart/lidarformer_to_bevformer_toy.py'


@pytest.fixture
def options(tiny_nuscenes, tmp_path):
    """``--cfg-options`` that move a toy config to four generated keyframes and make it short."""
    nusc = load_tables(tiny_nuscenes)
    nusc.scene = nusc.scene[:1]
    infos = write_infos(nusc, tmp_path, 'base')
    words = ['data.samples_per_gpu=2', 'data.workers_per_gpu=1', 'runner.max_epochs=1', 'log_config.interval=1']
    for split in ('train', 'val', 'test'):
        words += [f'data.{split}.data_root={tiny_nuscenes}', f'data.{split}.ann_file={infos}']
    return words


def test_a_distilled_checkpoint_is_tested_without_the_teachers_file(
    train, run_test_tool, options, repo_root, tmp_path, monkeypatch
):
    monkeypatch.chdir(repo_root)  # the teacher's config is named relative to it
    teacher = tmp_path / 'teacher'
    train(TEACHER, '--work-dir', teacher, '--no-validate', '--cfg-options', *options)
    weights = torch.load(teacher / 'epoch_1.pth', weights_only=True)['state_dict']

    log = train(DISTILLED, '--work-dir', tmp_path / 'run', '--no-validate', '--cfg-options', *options,
                f'model.teacher.checkpoint={teacher}/epoch_1.pth', 'optimizer.lr=0.0')  # fmt: skip
    terms = {name for name in log[1, 1] if 'loss' in name}
    assert {
        'loss_cls',
        'd0.loss_bbox',
        'distill.bev.loss_fg',
        'distill.bev.loss_bg',
        'distill.bev.loss_spatial',
    } <= terms
    assert not any(name.startswith('crd.') for name in terms)

    # nothing was learned at a rate of 0: what the student says with is the teacher's, what it sees with its own
    checkpoint = tmp_path / 'run' / 'epoch_1.pth'
    student = torch.load(checkpoint, weights_only=True)['state_dict']
    head = [name for name in weights if name.startswith('pts_bbox_head.')]
    assert head and all(torch.equal(student[name], weights[name]) for name in head)
    assert not torch.equal(student['bev_encoder.bev_embedding.weight'], weights['bev_encoder.bev_embedding.weight'])

    (teacher / 'epoch_1.pth').unlink()
    run_test_tool(DISTILLED, checkpoint, '--eval', 'mAP', '--work-dir', tmp_path / 'eval', '--cfg-options', *options,
                  f'model.teacher.checkpoint={teacher}/epoch_1.pth')  # fmt: skip
    metrics = json.loads(next((tmp_path / 'eval').glob('eval_*.json')).read_text())['metric']
    assert 0 <= metrics['mAP'] <= 1 and 0 <= metrics['NDS'] <= 1
