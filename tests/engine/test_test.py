"""tools/test.py on the toy detector."""

import json
import pickle

import pytest
import torch
from helpers import toy_engine
from helpers.harmful import RunsCode

from mmdet3d_plugin.datasets import NuScenesBEVDataset


@pytest.fixture
def checkpoint(toy_config, train, tmp_path):
    train(toy_config, '--work-dir', tmp_path / 'run', '--no-validate', '--cfg-options', 'runner.max_epochs=1')
    return tmp_path / 'run' / 'epoch_1.pth'


@pytest.mark.parametrize('metric', ['bbox', 'mAP', 'NDS'])
def test_every_metric_name_runs_the_evaluation(toy_config, checkpoint, run_test_tool, tmp_path, metric):
    out = tmp_path / 'predictions.pkl'
    run_test_tool(toy_config, checkpoint, '--eval', metric, '--out', out, '--work-dir', tmp_path / 'eval')
    written = json.loads(next((tmp_path / 'eval').glob('eval_*.json')).read_text())
    assert written['metric'] == {'mAP': 0.25, 'NDS': 0.5}
    assert [entry['index'] for entry in pickle.loads(out.read_bytes())] == ['token0', 'token1', 'token2']


def test_the_backend_reaches_preflight_and_evaluation(toy_config, checkpoint, run_test_tool, tmp_path, monkeypatch):
    given = []
    toy, evaluate = toy_engine.ToyEngineDataset, toy_engine.ToyEngineDataset.evaluate
    monkeypatch.setattr(toy, 'BACKENDS', ('fast', 'both'), raising=False)
    check = lambda dataset, backend='fast': given.append(backend)  # noqa: E731
    monkeypatch.setattr(toy, 'check_evaluation', check, raising=False)
    monkeypatch.setattr(toy, 'evaluate', lambda *args, **named: given.append(named) or evaluate(*args))
    words = [toy_config, checkpoint, '--eval', 'bbox', '--work-dir', tmp_path / 'eval']
    run_test_tool(*words, '--eval-backend', 'both')
    run_test_tool(*words)
    assert given == ['both', dict(metric='bbox', backend='both'), 'fast', dict(metric='bbox')]
    with pytest.raises(ValueError, match="--eval-options backend: 'devkit' is none of fast, both"):
        run_test_tool(*words, '--eval-backend', 'devkit')


def test_the_flag_knows_the_backends_of_the_data_set(run_test_tool, capsys):
    with pytest.raises(SystemExit):
        run_test_tool('--help')
    assert f'--eval-backend {{{",".join(NuScenesBEVDataset.BACKENDS)}}}' in capsys.readouterr().out


def test_format_only_writes_without_evaluating(toy_config, checkpoint, run_test_tool, tmp_path, capsys):
    prefix = tmp_path / 'submission'
    run_test_tool(toy_config, checkpoint, '--format-only', '--eval-options', f'jsonfile_prefix={prefix}')
    assert (tmp_path / 'submission.txt').read_text() == '3'
    assert f'submission: {prefix}.txt' in capsys.readouterr().out


def test_a_set_without_annotations_is_refused_before_the_inference(
    toy_config, checkpoint, run_test_tool, tmp_path, monkeypatch
):
    monkeypatch.setattr(toy_engine.ToyEngineDataset, 'version', 'v1.0-test', raising=False)
    drawn = tmp_path / 'draws.txt'
    options = ['--cfg-options', f'data.test.log={drawn}']
    with pytest.raises(ValueError, match='v1.0-test has no annotations.*--format-only'):
        run_test_tool(toy_config, checkpoint, '--eval', 'bbox', *options)
    assert not drawn.exists()
    prefix = tmp_path / 'submission'
    run_test_tool(toy_config, checkpoint, '--format-only', '--eval-options', f'jsonfile_prefix={prefix}', *options)
    assert (tmp_path / 'submission.txt').exists()


def test_missing_files_are_named_before_the_inference(toy_config, checkpoint, run_test_tool, monkeypatch):
    def check_files(dataset):
        raise FileNotFoundError('one.jpg is missing')

    monkeypatch.setattr(toy_engine.ToyEngineDataset, 'check_files', check_files, raising=False)
    with pytest.raises(FileNotFoundError, match='one.jpg'):
        run_test_tool(toy_config, checkpoint, '--eval', 'bbox')


@pytest.mark.parametrize(
    'words, message',
    [
        ([], 'give --eval, --out or --format-only'),
        (['--eval', 'bbox', '--format-only'], 'exclude each other'),
        (['--out', 'x.json'], 'takes a .pkl file'),
        (['--format-only', '--eval-backend', 'both'], '--eval-backend: nothing is evaluated without --eval'),
        (['--eval', 'bbox', '--eval-backend', 'slow'], 'invalid choice'),
    ],
)
def test_flags_that_make_no_sense_are_refused(run_test_tool, capsys, words, message):
    with pytest.raises(SystemExit):
        run_test_tool('config.py', 'checkpoint.pth', *words)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda state: state.pop('tail.bias'), r'tail: 1 missing \(tail.bias\)'),
        (lambda state: state.update(extra=torch.zeros(1)), r'extra: 1 unexpected'),
        (
            lambda state: state.update({'tail.bias': torch.zeros(5)}),
            r'tail.bias: \(5,\) in the file, \(1,\) in the model',
        ),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_one_clear_error(toy_config, checkpoint, run_test_tool, change, message):
    content = torch.load(checkpoint, weights_only=True)
    change(content['state_dict'])
    torch.save(content, checkpoint)
    with pytest.raises(ValueError, match=message):
        run_test_tool(toy_config, checkpoint, '--eval', 'bbox')


def test_pickled_code_is_refused_unless_trusted(toy_config, checkpoint, run_test_tool, tmp_path):
    content = torch.load(checkpoint, weights_only=True)
    content['meta']['extra'] = RunsCode(tmp_path / 'ran')
    torch.save(content, checkpoint)
    words = [toy_config, checkpoint, '--out', tmp_path / 'predictions.pkl']
    with pytest.raises(ValueError, match=r'epoch_1.pth.*names posix.mkdir.*--trust-checkpoint'):
        run_test_tool(*words)
    assert not (tmp_path / 'ran').exists()
    run_test_tool(*words, '--trust-checkpoint')
    assert (tmp_path / 'ran').exists() and (tmp_path / 'predictions.pkl').exists()
