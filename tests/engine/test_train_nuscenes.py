"""The real detectors on generated data through the command-line tools: teacher, distilled student, resume, test."""

import json

import pytest
import torch
from helpers.nuscenes_batch import load_tables, write_infos

BASES = dict(teacher='centerpoint_toy', distilled='dualdistill_toy')


@pytest.fixture(scope='module')
def info_files(tiny_nuscenes, tmp_path_factory):
    nusc = load_tables(tiny_nuscenes)
    nusc.scene = nusc.scene[:1]  # four samples
    return dict(
        teacher=write_infos(nusc, tmp_path_factory.mktemp('base'), 'base'),
        distilled=write_infos(nusc, tmp_path_factory.mktemp('4d'), '4d'),
    )


@pytest.fixture
def options(info_files, tiny_nuscenes):
    """``--cfg-options`` that move a quick-start config to the generated data and make it short."""

    def build(kind):
        words = ['data.samples_per_gpu=2', 'data.workers_per_gpu=2', 'runner.max_epochs=2', 'log_config.interval=1']
        for split in ('train', 'val', 'test'):
            words += [f'data.{split}.data_root={tiny_nuscenes}', f'data.{split}.ann_file={info_files[kind]}']
        return words

    return build


def terms(log):
    return {key: {name: value for name, value in line.items() if 'loss' in name} for key, line in log.items()}


def test_a_resumed_distillation_repeats_the_uninterrupted_one(
    train, run_test_tool, options, repo_root, tmp_path, monkeypatch
):
    monkeypatch.chdir(repo_root)  # the teacher's config is named relative to it
    config = {kind: f'configs/quickstart/{name}.py' for kind, name in BASES.items()}
    teacher = tmp_path / 'teacher'
    train(config['teacher'], '--work-dir', teacher, '--no-validate', '--cfg-options', *options('teacher'),
          'runner.max_epochs=1')  # fmt: skip

    # rates by epoch: the run of one epoch below then has those of the longer run's first epoch
    words = ['--no-validate', '--cfg-options', *options('distilled'), f'model.teacher.checkpoint={teacher}/epoch_1.pth',
             'model.student.img_backbone.base_channels=8', 'model.student.img_neck.in_channels=[16,32]',
             'lr_config.by_epoch=True']  # fmt: skip
    whole = train(config['distilled'], '--work-dir', tmp_path / 'whole', *words)
    train(config['distilled'], '--work-dir', tmp_path / 'half', *words, 'runner.max_epochs=1')
    resumed = train(config['distilled'], '--work-dir', tmp_path / 'half', '--auto-resume', *words)
    assert {epoch for epoch, _ in resumed} == {2}
    assert terms(resumed) == {key: value for key, value in terms(whole).items() if key[0] == 2}
    names = set(terms(whole)[1, 1])
    assert {'loss_depth', 'distill.head.loss_fp', 'distill.backbone1.loss_fg', 'crd.task0.loss_heatmap'} <= names

    # the distilled checkpoint is tested without its teacher: none of that name exists any more
    (teacher / 'epoch_1.pth').unlink()
    checkpoint = tmp_path / 'half' / 'epoch_2.pth'
    run_test_tool(config['distilled'], checkpoint, '--eval', 'mAP', '--work-dir', tmp_path / 'eval', *words[1:])
    metrics = json.loads(next((tmp_path / 'eval').glob('eval_*.json')).read_text())['metric']
    assert 0 <= metrics['mAP'] <= 1 and 0 <= metrics['NDS'] <= 1

    content = torch.load(checkpoint, weights_only=True)
    del content['state_dict'][next(key for key in content['state_dict'] if key.startswith('img_neck.'))]
    torch.save(content, checkpoint)
    with pytest.raises(ValueError, match='img_neck: 1 missing'):
        run_test_tool(config['distilled'], checkpoint, '--eval', 'mAP', '--work-dir', tmp_path / 'broken', *words[1:])


def test_distillation_evaluates_its_student_while_training(train, options, repo_root, tmp_path, monkeypatch):
    monkeypatch.chdir(repo_root)
    words = [*options('distilled'), 'runner.max_epochs=1', 'evaluation.interval=1', 'evaluation.start=None',
             'model.teacher.checkpoint=None', 'model.teacher.allow_random_weights=True',
             'model.student.img_backbone.base_channels=8', 'model.student.img_neck.in_channels=[16,32]']  # fmt: skip
    train(f'configs/quickstart/{BASES["distilled"]}.py', '--work-dir', tmp_path / 'run', '--cfg-options', *words)
    lines = [json.loads(line) for line in next((tmp_path / 'run').glob('*.log.json')).read_text().splitlines()]
    (scores,) = [line for line in lines if line.get('mode') == 'val']
    assert 0 <= scores['mAP'] <= 1 and 0 <= scores['NDS'] <= 1 and 'car_AP' in scores
    assert (tmp_path / 'run' / 'epoch_1.pth').is_file()
