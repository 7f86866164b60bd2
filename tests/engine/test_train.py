"""Training runs of the toy detector through tools/train.py."""

import json
import re

import pytest
import torch
from helpers import toy_engine
from helpers.harmful import RunsCode

from dualdistill_cli import run_tool
from mmdet3d_plugin.engine.resume import _processes

LOSSES = ('loss', 'loss_fit', 'loss_size')


def losses(log):
    return {key: [line[name] for name in LOSSES] for key, line in log.items()}


@pytest.mark.parametrize('workers', [0, 2])
def test_resuming_repeats_the_uninterrupted_run_exactly(toy_config, train, tmp_path, workers):
    options = ['--cfg-options', f'data.workers_per_gpu={workers}']
    whole = train(toy_config, '--work-dir', tmp_path / 'whole', *options)
    train(toy_config, '--work-dir', tmp_path / 'half', *options, 'runner.max_epochs=1')
    resumed = train(toy_config, '--work-dir', tmp_path / 'half', '--auto-resume', *options)

    assert sorted(resumed) == [(epoch, i) for epoch in (2, 3) for i in (1, 2, 3)]
    assert losses(resumed) == {key: value for key, value in losses(whole).items() if key[0] > 1}
    last = [torch.load(tmp_path / name / 'epoch_3.pth', weights_only=True) for name in ('whole', 'half')]
    for name, value in last[0]['state_dict'].items():
        assert torch.equal(value, last[1]['state_dict'][name]), name
    assert len({value['loss'] for value in whole.values()}) == 9


def test_a_detector_adds_to_the_meta_of_its_checkpoints(toy_config, train, tmp_path, monkeypatch):
    teacher = dict(config='teacher.py', sha256='abc', metrics=dict(mAP=0.25))
    monkeypatch.setattr(
        toy_engine.ToyEngineDetector, 'checkpoint_meta', lambda self: dict(teacher=teacher), raising=False
    )
    train(toy_config, '--work-dir', tmp_path / 'run', '--cfg-options', 'runner.max_epochs=1')
    meta = torch.load(tmp_path / 'run' / 'epoch_1.pth', weights_only=True)['meta']
    assert meta['teacher'] == teacher and meta['seed'] == 0


def test_another_seed_is_another_run_and_resuming_with_it_is_said(toy_config, train, tmp_path, caplog):
    first = train(toy_config, '--work-dir', tmp_path / 'a', '--cfg-options', 'runner.max_epochs=1')
    again = train(toy_config, '--work-dir', tmp_path / 'b', '--cfg-options', 'runner.max_epochs=1')
    other = train(toy_config, '--work-dir', tmp_path / 'c', '--seed', 7, '--cfg-options', 'runner.max_epochs=1')
    assert losses(first) == losses(again) != losses(other)

    train(toy_config, '--work-dir', tmp_path / 'a', '--resume-from', tmp_path / 'a' / 'epoch_1.pth', '--seed', 7,
          '--cfg-options', 'runner.max_epochs=2')  # fmt: skip
    assert 'epoch_1.pth was trained with seed 0, this run asks for 7' in caplog.text


def test_a_change_of_processes_rescales_the_iteration_once(toy_config, train, tmp_path):
    """As mmcv does it on resume; the next checkpoint must not pass for one of the old number of processes."""
    work_dir = tmp_path / 'run'
    train(toy_config, '--work-dir', work_dir, '--no-validate', '--cfg-options', 'runner.max_epochs=1')
    content = torch.load(work_dir / 'epoch_1.pth', weights_only=True)
    forged = content['meta']['config'].replace('gpu_ids = [0]', 'gpu_ids = [0, 1]')
    assert forged != content['meta']['config'] and content['meta']['iter'] == 3
    content['meta'].update(config=forged, hook_msgs=dict(best_score=0.75), dualdistill_version='0.0')
    torch.save(content, work_dir / 'epoch_1.pth')

    iterations = []
    for epoch in (2, 3):
        options = ['--cfg-options', f'runner.max_epochs={epoch}']
        train(toy_config, '--work-dir', work_dir, '--no-validate', '--auto-resume', *options)
        meta = torch.load(work_dir / f'epoch_{epoch}.pth', weights_only=True)['meta']
        iterations.append(meta['iter'])
        assert 'gpu_ids = [0]' in meta['config'] and f'max_epochs={epoch}' in meta['config'].replace(' ', '')
        assert meta['epoch'] == epoch and meta['hook_msgs']['best_score'] == 0.75
        assert meta['dualdistill_version'] != '0.0'
    assert iterations == [3 * 2 + 3, 3 * 2 + 6]


@pytest.mark.parametrize('split', ['train', 'val'])
def test_missing_files_are_named_before_training_starts(toy_config, train, tmp_path, monkeypatch, split):
    def check_files(dataset):
        if dataset.test_mode == (split == 'val'):
            raise FileNotFoundError(f'{split}/one.jpg is missing')

    monkeypatch.setattr(toy_engine.ToyEngineDataset, 'check_files', check_files, raising=False)
    drawn = tmp_path / 'draws.txt'
    with pytest.raises(FileNotFoundError, match=f'{split}/one.jpg'):
        train(toy_config, '--work-dir', tmp_path / 'run', '--cfg-options', f'data.train.log={drawn}')
    assert not drawn.exists()


@pytest.mark.parametrize('workers', [0, 2])
def test_augmentation_differs_between_epochs_and_workers(toy_config, train, tmp_path, workers):
    log = tmp_path / 'draws.txt'
    options = [f'data.workers_per_gpu={workers}', f'data.train.log={log}', 'runner.max_epochs=2']
    train(toy_config, '--work-dir', tmp_path / 'run', '--no-validate', '--cfg-options', *options)
    rows = [line.split() for line in log.read_text().splitlines()]
    assert {row[0] for row in rows} == ({'0', '1'} if workers else {'-1'})
    for column in (2, 3, 4):  # python, numpy, torch
        assert len({row[column] for row in rows}) == len(rows) == 12


def test_accumulated_gradients_equal_the_larger_batch(toy_config, train, tmp_path, caplog):
    base = ['model.norm=False', 'model.dropout=0.0', 'data.train.length=4', 'data.train.test_mode=True',
            'runner.max_epochs=1', 'lr_config.warmup=None', 'optimizer_config.grad_clip=None']  # fmt: skip
    train(toy_config, '--work-dir', tmp_path / 'large', '--cfg-options', *base, 'data.samples_per_gpu=4')
    accumulate = ['optimizer_config.type=GradientCumulativeOptimizerHook', 'optimizer_config.cumulative_iters=2']
    log = train(toy_config, '--work-dir', tmp_path / 'accumulated', '--cfg-options', *base, *accumulate)
    assert len(log) == 2
    assert 'effective batch size 4 = 1 process(es) x 4 sample(s) x 1 accumulated iteration(s)' in caplog.text
    assert 'effective batch size 4 = 1 process(es) x 2 sample(s) x 2 accumulated iteration(s)' in caplog.text
    assert 'base learning rate 0.0002; 2 iterations per epoch' in caplog.text
    large, accumulated = (
        torch.load(tmp_path / name / 'epoch_1.pth', weights_only=True)['optimizer']['state']
        for name in ('large', 'accumulated')
    )
    for index, state in large.items():  # the first moment of AdamW is the gradient times 0.1
        assert state['step'] == accumulated[index]['step'] == 1
        torch.testing.assert_close(accumulated[index]['exp_avg'], state['exp_avg'], rtol=1e-5, atol=1e-7)


def test_evaluation_saves_the_best_checkpoint(toy_config, train, tmp_path):
    train(toy_config, '--work-dir', tmp_path / 'run', '--cfg-options', 'runner.max_epochs=1')
    assert (tmp_path / 'run' / 'best_NDS_epoch_1.pth').is_file()
    lines = [json.loads(line) for line in next((tmp_path / 'run').glob('*.log.json')).read_text().splitlines()[1:]]
    assert [line['NDS'] for line in lines if line['mode'] == 'val'] == [0.5]


def test_a_non_finite_loss_stops_before_the_weights_change(toy_config, train, tmp_path):
    with pytest.raises(FloatingPointError, match=r'loss_fit = nan, loss_size = nan.*token2') as caught:
        train(toy_config, '--work-dir', tmp_path / 'run', '--cfg-options', 'data.train.poison=2')
    assert 'epoch 1' in str(caught.value)


def test_an_ended_run_says_why_in_one_line_and_paths_keep_their_blanks(toy_config, train, tmp_path):
    options = ('--cfg-options', 'data.train.poison=2', '--cfg-options', f'data.train.log={tmp_path}/my draws')
    with pytest.raises(SystemExit) as stop:
        run_tool(lambda: train(toy_config, '--work-dir', tmp_path / 'my run', *options))
    assert stop.value.code.startswith('error: non-finite loss at epoch 1') and '\n' not in stop.value.code
    assert (tmp_path / 'my draws').is_file()


@pytest.fixture
def trained(toy_config, train, tmp_path):
    """Work dir of a run of one epoch."""
    train(toy_config, '--work-dir', tmp_path / 'run', '--no-validate', '--cfg-options', 'runner.max_epochs=1')
    return tmp_path / 'run'


@pytest.mark.parametrize('flag', ['--resume-from', '--auto-resume', 'load_from'])
def test_pickled_code_is_refused_unless_trusted(toy_config, train, trained, tmp_path, flag):
    path, folder = trained / 'latest.pth', tmp_path / 'ran'
    content = torch.load(path, weights_only=True)
    content['meta']['extra'] = RunsCode(folder)
    torch.save(content, path)
    words = {'--resume-from': [flag, path], '--auto-resume': [flag], 'load_from': []}[flag]
    options = ['--no-validate', '--cfg-options', 'runner.max_epochs=2']
    options += [f'load_from={path}'] if flag == 'load_from' else []
    with pytest.raises(ValueError, match=r'(latest|epoch_1).pth.*posix.mkdir.*--trust-checkpoint'):
        train(toy_config, '--work-dir', trained, *words, *options)
    assert not folder.exists()
    train(toy_config, '--work-dir', trained, *words, '--trust-checkpoint', *options)
    assert folder.exists() and (trained / 'epoch_2.pth').is_file()


def test_config_text_in_a_checkpoint_is_read_not_run(toy_config, train, trained, tmp_path):
    path, marker = trained / 'epoch_1.pth', tmp_path / 'ran'
    content = torch.load(path, weights_only=True)
    content['meta']['config'] += f'\nopen({str(marker)!r}, "w")\n'
    torch.save(content, path)
    train(toy_config, '--work-dir', trained, '--no-validate', '--resume-from', path,
          '--cfg-options', 'runner.max_epochs=2')  # fmt: skip
    assert (trained / 'epoch_2.pth').is_file() and not marker.exists()


@pytest.mark.parametrize(
    'text, processes',
    [('a = 1\ngpu_ids = [0, 1,\n    2]\nb = 2', 3), ('gpu_ids = range(0, 8)', 8), ('gpu_ids = []', 5), ('', 5)],
)
def test_the_number_of_processes_is_read_off_the_config_text(text, processes):
    assert _processes(text, 5) == processes


def test_weights_alone_cannot_be_resumed(toy_config, train, trained):
    path = trained / 'epoch_1.pth'
    content = torch.load(path, weights_only=True)
    del content['optimizer']
    torch.save(content, path)
    with pytest.raises(ValueError, match=r'epoch_1.pth: it lacks optimizer.*load_from='):
        train(toy_config, '--work-dir', trained, '--resume-from', path, '--no-validate')


def test_the_backend_of_a_config_reaches_preflight_and_evaluation(toy_config, train, tmp_path, monkeypatch):
    given = []
    toy, evaluate = toy_engine.ToyEngineDataset, toy_engine.ToyEngineDataset.evaluate
    monkeypatch.setattr(toy, 'BACKENDS', ('fast', 'both'), raising=False)
    check = lambda dataset, backend='fast': given.append(backend)  # noqa: E731
    monkeypatch.setattr(toy, 'check_evaluation', check, raising=False)

    def remember(dataset, results, backend='fast', **named):
        given.append(backend)
        return evaluate(dataset, results)

    monkeypatch.setattr(toy, 'evaluate', remember)
    options = ['runner.max_epochs=1', 'evaluation.backend=both']
    train(toy_config, '--work-dir', tmp_path / 'run', '--cfg-options', *options)
    assert given == ['both', 'both']


@pytest.mark.parametrize('flags', [[], ['-v']])
def test_the_log_tells_time_left_and_initial_weights_only_when_asked(toy_config, train, tmp_path, caplog, flags):
    options = ('--no-validate', *flags, '--cfg-options', 'runner.max_epochs=1')
    log = train(toy_config, '--work-dir', tmp_path / 'run', *options)
    assert len(log) == 3
    assert ('body.0.weight (8, 4): ' in caplog.text) == bool(flags)
    assert 'init_weights' not in caplog.text or flags
    assert re.findall(r'Epoch \[1\]\[1/3\].*eta: \d:\d\d:\d\d, time: ', caplog.text)
    assert re.search(r'device (cpu|cuda), 1 process\(es\) of \d+ CPU thread\(s\), seed 0', caplog.text)
