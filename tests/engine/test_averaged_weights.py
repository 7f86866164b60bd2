"""Runs with EMA hooks: which weights their files are read as, tested, published and resumed with."""

from types import SimpleNamespace

import pytest
import torch
from helpers.distill_fakes import build, distiller_cfg, write_teacher
from helpers.tools import load_tool
from helpers.toy_engine import ToyEngineDetector
from mmcv import Config
from mmcv.runner import HOOKS, save_checkpoint
from mmcv.runner.hooks.ema import EMAHook
from mmcv.utils import build_from_cfg
from mmdet.core.hook.ema import ExpMomentumEMAHook
from mmdet3d.models import build_detector

from mmdet3d_plugin.checkpoints.averages import MARK, split_averages
from mmdet3d_plugin.checkpoints.files import read_checkpoint
from mmdet3d_plugin.distill import FrozenTeacher

HOOK = "custom_hooks = [dict(type='EMAHook')]"
TRUE = {}  # epoch from 1 -> latest and averaged weight after its last iteration


@HOOKS.register_module()
class StockEMAHook(EMAHook):
    """mmcv's own, which marks nothing; keeps what it knows for comparison."""

    def after_train_iter(self, runner):
        super().after_train_iter(runner)
        model = runner.model.module
        TRUE[runner.epoch + 1] = (model.tail.weight.detach().clone(), model.ema_tail_weight.clone())


@pytest.fixture
def ema_run(toy_config, train, tmp_path):
    """Train with an EMA hook; returns the work dir."""
    with toy_config.open('a') as file:
        file.write("custom_hooks = [dict(type='EpochSeedHook'), dict(type='EMAHook', momentum=0.2)]\n")
        file.write('optimizer = dict(lr=0.05)\n')

    def run(name, *words, kind='EMAHook', **options):
        hook = [f'custom_hooks.1.{key}={value}' for key, value in dict(options, type=kind).items()]
        train(toy_config, '--work-dir', tmp_path / name, *words, '--cfg-options', *hook)
        return tmp_path / name

    return run


def test_a_config_names_the_hook_without_its_list_of_hooks(toy_config, train, tmp_path):
    named = tmp_path / 'named.py'
    hook = "dict(type='ExpMomentumEMAHook', total_iter=2)"
    with toy_config.open('a') as file:
        file.write("custom_hooks = [dict(type='EpochSeedHook')]\n")
    named.write_text(f"_base_ = '{toy_config}'\nema_config = {hook}\n")
    listed = tmp_path / 'listed.py'
    listed.write_text(f"_base_ = '{toy_config}'\ncustom_hooks = [dict(type='EpochSeedHook'), {hook}]\n")
    files = []
    for config in (named, listed):
        train(config, '--work-dir', tmp_path / config.stem)
        files.append(torch.load(tmp_path / config.stem / 'epoch_3.pth', weights_only=True)['state_dict'])
    assert 'ema_tail_weight' in files[0] and files[0].keys() == files[1].keys()
    assert not [name for name, value in files[0].items() if not torch.equal(value, files[1][name])]
    state, meta = read_checkpoint(str(tmp_path / 'named' / 'epoch_3.pth'))
    assert meta[MARK] == 'under their own names'
    assert not torch.equal(state['tail.weight'], files[0]['ema_tail_weight'])


@pytest.mark.parametrize('priority', [None, 49])
def test_files_of_mmcvs_own_hook_are_read_as_their_averages(ema_run, priority, caplog):
    options = {} if priority is None else dict(priority=priority)
    folder = ema_run('run', kind='StockEMAHook', **options)
    for epoch, name in ((1, 'best_NDS_epoch_1.pth'), (1, 'epoch_1.pth'), (3, 'epoch_3.pth')):
        caplog.clear()
        state, _ = read_checkpoint(str(folder / name))
        latest, averaged = TRUE[epoch]
        assert torch.equal(state['tail.weight'], averaged) and not torch.equal(latest, averaged), name
        assert set(state) == set(ToyEngineDetector().state_dict())
        (line,) = [record.getMessage() for record in caplog.records if 'averaged weights' in record.getMessage()]
        assert name in line and 'under their own names' in line


@pytest.mark.parametrize(
    'meta, place, known',
    [
        (dict(), 'under ema_', None),
        (dict(config='custom_hooks = open("x")'), 'under ema_', None),
        (dict(config="custom_hooks = [dict(type='EMAHook', priority='HIGH')]"), 'under their own names', 'order'),
        (dict(config="custom_hooks = [dict(type='EMAHook')]", resume={}), 'under their own names', 'order'),
        (
            dict(config="custom_hooks = [dict(type='EMAHook')]", resume=dict(inner_iter=2)),
            'under ema_',
            'within an epoch',
        ),
        (dict(config="custom_hooks = [dict(type='EMAHook', priority='ODD')]"), 'under ema_', None),
        (
            dict(config="custom_hooks = [dict(type='EMAHook', priority=49)]\ncheckpoint_config = dict(by_epoch=False)"),
            'under ema_',
            'within an epoch',
        ),
        (
            dict(config="custom_hooks = [dict(type='EMAHook')]\nrunner = dict(type='IterBasedRunner')"),
            'under ema_',
            'by iterations',
        ),
        (dict(config="ema_config = dict(type='EMAHook', priority='HIGH')"), 'under their own names', 'order'),
        ({MARK: 'under their own names'}, 'under their own names', 'meta'),
    ],
)
def test_the_place_of_the_averages_is_told_by_the_meta(meta, place, known):
    both = split_averages({'a.b': torch.zeros(1), 'ema_a_b': torch.ones(1), 'c': torch.full((1,), 2.0)}, meta)
    assert both.place == place and (known is None or known in both.evidence)
    assert both.averaged['a.b'] == (1 if place == 'under ema_' else 0) != both.latest['a.b']
    assert both.averaged['c'] == both.latest['c'] == 2
    assert ('ASSUMED' in str(both)) == (known is None)


def test_a_module_that_only_sounds_like_averages_is_none():
    assert split_averages({'a.b': torch.zeros(1), 'ema_model.a.b': torch.ones(1)}, {}) is None


def test_a_tested_model_has_the_averages(ema_run, toy_config, run_test_tool, tmp_path, caplog):
    folder = ema_run('run', kind='StockEMAHook')
    caplog.clear()
    run_test_tool(toy_config, folder / 'epoch_3.pth', '--eval', 'bbox', '--work-dir', tmp_path / 'eval')
    assert 'averaged weights of its EMA hook are used; they are under their own names' in caplog.text


@pytest.mark.parametrize('kind, options', [('EMAHook', {}), ('EMAHook', dict(priority=49)), ('ExpMomentumEMAHook', {})])
def test_a_resumed_run_goes_on_from_its_averages(ema_run, kind, options):
    """mmcv starts averages anew, and exchanges them with the weights where its order saved them under ``ema_``."""
    whole = ema_run('whole', kind=kind, **options)
    ema_run('half', '--no-validate', kind=kind, **options)
    for epoch in (2, 3):
        (whole.parent / 'half' / f'epoch_{epoch}.pth').unlink()
    (whole.parent / 'half' / 'latest.pth').unlink()
    half = ema_run('half', '--resume-from', whole.parent / 'half' / 'epoch_1.pth', kind=kind, **options)
    ours, theirs = (torch.load(folder / 'epoch_3.pth', weights_only=True) for folder in (whole, half))
    assert ours['state_dict'].keys() == theirs['state_dict'].keys() and 'ema_tail_weight' in ours['state_dict']
    for name, value in ours['state_dict'].items():
        assert torch.equal(value, theirs['state_dict'][name]), name
    assert not torch.equal(ours['state_dict']['tail.weight'], ours['state_dict']['ema_tail_weight'])


def test_a_run_by_iterations_says_whose_scores_it_logs(ema_run, caplog):
    """And its files are read as what they are."""
    by_iteration = ['runner.type=IterBasedRunner', 'runner.max_iters=4', 'runner.max_epochs=None']
    folder = ema_run('run', '--cfg-options', *by_iteration)
    assert 'a run by iterations scores its latest weights while it trains' in caplog.text
    state, meta = read_checkpoint(str(folder / 'iter_4.pth'))
    raw = torch.load(folder / 'iter_4.pth', weights_only=True)['state_dict']
    assert torch.equal(state['tail.weight'], raw['ema_tail_weight'])
    assert not torch.equal(state['tail.weight'], raw['tail.weight'])


def test_the_hook_resumes_through_the_command_line_alone():
    with pytest.raises(ValueError, match='--resume-from'):
        build_from_cfg(dict(type='EMAHook', resume_from='epoch_1.pth'), HOOKS)


def saved_with_averages(model, path, hook, meta):
    """A file as mmcv saves it in the middle of a run; averages are the weights plus one."""
    hook.before_run(SimpleNamespace(model=model, meta={}))
    expected = {name: value + 1 for name, value in model.state_dict().items() if not name.startswith('ema_')}
    for buffer in hook.param_ema_buffer.values():
        getattr(model, buffer).add_(1)
    save_checkpoint(model, str(path), meta=dict(meta))
    return expected


@pytest.mark.parametrize('hook', [EMAHook, ExpMomentumEMAHook])
def test_a_distilled_student_is_exported_with_its_averages(repo_root, tmp_path, hook, capsys):
    model = build(distiller_cfg(write_teacher(tmp_path)))
    path = tmp_path / 'epoch_1.pth'
    expected = saved_with_averages(model, path, hook(), dict(epoch=1))
    parameters = {name.removeprefix('student.') for name, _ in model.named_parameters()}
    state, _ = read_checkpoint(str(path))
    assert set(state) == set(expected) and any(name.startswith('distill.') for name in state)
    for name in parameters:
        assert torch.equal(state[name], expected[name]), name

    load_tool('model_converters/export_student.py').main([str(path), str(tmp_path / 'student.pth')])
    exported, meta = read_checkpoint(capsys.readouterr().out.splitlines()[-2])
    assert exported.keys() == model.student.state_dict().keys() and meta[MARK] == 'under their own names'
    assert torch.equal(exported['stem.0.weight'], expected['stem.0.weight'])


def test_a_teacher_teaches_with_its_averages(tmp_path):
    files = write_teacher(tmp_path)
    model = build_detector(Config.fromfile(files['config']).model)
    model.load_state_dict(torch.load(files['checkpoint'], weights_only=True)['state_dict'])
    expected = saved_with_averages(model, files['checkpoint'], EMAHook(), dict(epoch=3))
    teacher = FrozenTeacher(**files)
    for name, value in teacher.module.named_parameters():
        assert torch.equal(value, expected[name]), name
