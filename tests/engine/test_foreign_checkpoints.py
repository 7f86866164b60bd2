"""Training from, resuming and testing checkpoints of another model, through the command-line tools."""

import json
import logging

import pytest
import torch
from helpers.toy_engine import ToyEngineDetector


@pytest.fixture
def other_model(tmp_path):
    """A checkpoint, optimizer included, of which no key fits the toy detector."""
    model = torch.nn.ModuleDict(dict(stem=torch.nn.Linear(3, 3), top=torch.nn.Linear(3, 3)))
    optimizer = torch.optim.AdamW(model.parameters())
    path = tmp_path / 'other.pth'
    meta = dict(epoch=1, iter=3, seed=0)
    torch.save(dict(state_dict=model.state_dict(), optimizer=optimizer.state_dict(), meta=meta), path)
    return path


def test_load_from_a_file_of_another_model_stops(toy_config, train, tmp_path, other_model):
    with pytest.raises(ValueError) as error:
        train(toy_config, '--work-dir', tmp_path / 'run', '--cfg-options', f'load_from={other_model}')
    assert str(error.value) == (
        f'load_from={str(other_model)!r}: none of its weights fits: it has stem 2, top 2, the model has body 6, tail 2'
    )
    assert not (tmp_path / 'run' / 'epoch_1.pth').exists()


def test_load_from_counts_what_fits(toy_config, train, tmp_path, caplog):
    path = tmp_path / 'part.pth'
    state = ToyEngineDetector().state_dict()
    torch.save(dict(state_dict={**{k: v for k, v in state.items() if 'tail' in k}, 'stem.weight': torch.ones(1)}), path)
    train(toy_config, '--work-dir', tmp_path / 'run', '--cfg-options', f'load_from={path}', 'runner.max_epochs=1')
    (record,) = [record for record in caplog.records if record.getMessage().startswith('load_from=')]
    assert record.levelno == logging.WARNING and record.getMessage() == (
        f'load_from={str(path)!r}: 2 of 8 weights of the model taken over; left as initialised: body 6; '
        f'in the file alone: stem 1'
    )


def test_load_from_starts_from_these_weights(toy_config, train, tmp_path):
    model = ToyEngineDetector()
    torch.nn.init.constant_(model.tail.weight, 3.0)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'start.pth')
    options = ['runner.max_epochs=1', 'optimizer.lr=0.0', f'load_from={tmp_path / "start.pth"}']
    train(toy_config, '--work-dir', tmp_path / 'run', '--cfg-options', *options)
    after = torch.load(tmp_path / 'run' / 'epoch_1.pth', weights_only=True)['state_dict']
    assert torch.equal(after['tail.weight'], torch.full((1, 8), 3.0))


def test_resuming_another_model_is_said_by_its_weights(toy_config, train, tmp_path, other_model):
    words = ['--work-dir', tmp_path / 'run', '--resume-from', other_model]
    with pytest.raises(ValueError, match=r'cannot resume from .*other.pth: it is of another model.*stem 2, top 2'):
        train(toy_config, *words)


def test_resuming_another_width_names_shapes_not_parameter_groups(toy_config, train, tmp_path):
    options = ['--no-validate', '--cfg-options', 'runner.max_epochs=1']
    train(toy_config, '--work-dir', tmp_path / 'run', *options, 'model.width=16')
    words = ['--work-dir', tmp_path / 'run', '--resume-from', tmp_path / 'run' / 'epoch_1.pth']
    with pytest.raises(ValueError, match=r'another model.*tail.weight: \(1, 16\) in the file, \(1, 8\) .*load_from='):
        train(toy_config, *words)


def test_new_checkpoints_test_as_before(toy_config, train, run_test_tool, tmp_path):
    train(toy_config, '--work-dir', tmp_path / 'run', '--no-validate', '--cfg-options', 'runner.max_epochs=1')
    content = torch.load(tmp_path / 'run' / 'epoch_1.pth', weights_only=True)
    content['state_dict'] = {f'module.{name}': value for name, value in content['state_dict'].items()}
    torch.save(content, tmp_path / 'run' / 'wrapped.pth')
    for name in ('epoch_1', 'wrapped'):
        folder = tmp_path / name
        run_test_tool(toy_config, tmp_path / 'run' / f'{name}.pth', '--eval', 'bbox', '--work-dir', folder)
        assert json.loads(next(folder.glob('eval_*.json')).read_text())['metric'] == dict(mAP=0.25, NDS=0.5)
