"""A run that was stopped at any point and resumed ends bit for bit like the uninterrupted one."""

import pytest
import torch
from helpers.interrupted import (
    EVALUATED,
    SAVED,
    SAVED_AGAIN,
    StopAt,
    Stopped,
    differences,
    final_state,
    train_in_group,
)
from helpers.processes import BACKENDS, free_port, spawn_two

HOOKS = """
custom_imports['imports'].append('helpers.interrupted')
custom_hooks = [
    dict(type='EpochSeedHook'),
    dict(type='CheckFiniteLossHook', priority='HIGH'),
    dict(type='SetIterationHook'),
    *[dict(type='StopHook', priority=priority) for priority in (55, 65, 75, 85, 95)],
]
"""
HALF_LABELLED = """
data['train'] = dict(
    type='LabelledAndUnlabelled',
    labelled=dict(type='ToyEngineDataset', length=6),
    unlabelled=dict(type='ToyEngineDataset', length=7, labelled=False),
)
data['samples_per_gpu'] = 4
"""
EMA = "custom_hooks.append(dict(type='ExpMomentumEMAHook', momentum=0.2))\n"
BY_ITERATION = ['checkpoint_config.interval=2', 'checkpoint_config.by_epoch=False']
WORKERS = ['data.workers_per_gpu=2']
ITER_RUNNER = ['runner.type=IterBasedRunner', 'runner.max_iters=9', 'runner.max_epochs=None', 'evaluation.interval=4']


@pytest.fixture
def config(toy_config):
    """Three epochs of three iterations; every evaluation gives another score."""
    toy_config.write_text(toy_config.read_text() + HOOKS + "data['val']['rated'] = True\n")
    return toy_config


@pytest.fixture
def run(config, train, tmp_path):
    """Train in a folder of this name, up to a point of the run if one is given."""

    def run(folder, *options, stop=None, resume=False):
        StopAt.point = stop
        words = [config, '--work-dir', tmp_path / folder, *(['--auto-resume'] if resume else [])]
        try:
            return train(*words, *(['--cfg-options', *options] if options else []))
        except Stopped:
            return None
        finally:
            StopAt.point = None

    return run


@pytest.fixture
def assert_exact(run, tmp_path):
    """Stop a run at each of these points and resume it: all its files must equal those of the uninterrupted run."""

    def check(*points, options=()):
        run('whole', *options)
        whole = final_state(tmp_path / 'whole')
        for number, point in enumerate(points):
            assert run(str(number), *options, stop=point) is None
            run(str(number), *options, resume=True)
            assert not differences(whole, final_state(tmp_path / str(number))), point
        return whole

    return check


def test_the_score_of_an_epoch_survives_wherever_the_run_is_killed(assert_exact):
    points = [('after_train_epoch', 3, priority) for priority in (SAVED, EVALUATED, SAVED_AGAIN)]
    whole = assert_exact(*points, ('after_train_epoch', 6, EVALUATED), ('after_train_epoch', 9, SAVED))
    best, *others = whole  # which epoch is the best is up to torch's random numbers
    assert best.startswith('best_NDS_epoch_') and others == ['epoch_1.pth', 'epoch_2.pth', 'epoch_3.pth', 'latest.pth']
    assert f"'best_ckpt': '/{best}'" in whole['epoch_3.pth']['meta']['hook_msgs']
    assert [whole[f'epoch_{n}.pth']['meta']['iter'] for n in (1, 2, 3)] == [3, 6, 9]


@pytest.mark.parametrize('options', [[], WORKERS], ids=['no workers', 'two workers'])
def test_checkpoints_within_an_epoch(assert_exact, options):
    points = [('after_train_iter', 2, SAVED), ('after_train_iter', 5, SAVED), ('after_train_iter', 6, SAVED),
              ('after_train_epoch', 6, EVALUATED), ('after_train_epoch', 9, SAVED)]  # fmt: skip
    whole = assert_exact(*points, options=[*BY_ITERATION, *options])
    assert [name for name in whole if name.startswith('iter')] == [f'iter_{n}.pth' for n in (2, 4, 6, 8, 9)]
    meta = [whole[f'iter_{n}.pth']['meta'] for n in (2, 4, 6, 8, 9)]
    assert [(entry['epoch'], entry['iter']) for entry in meta] == [(0, 2), (1, 4), (2, 6), (2, 8), (3, 9)]


def test_the_runner_by_iterations(assert_exact):
    points = [('after_train_iter', 4, SAVED), ('after_train_iter', 7, SAVED)]
    whole = assert_exact(*points, options=[*ITER_RUNNER, 'checkpoint_config.interval=2', *WORKERS])
    assert [entry['meta']['iter'] for name, entry in whole.items() if name.startswith('iter')] == [2, 4, 6, 8, 9]


@pytest.mark.parametrize('options', [[], BY_ITERATION], ids=['by epoch', 'by iteration'])
def test_averaged_weights_are_restored(config, assert_exact, options):
    config.write_text(config.read_text() + EMA)
    whole = assert_exact(('after_train_epoch', 3, SAVED), ('after_train_iter', 5, SAVED), options=options)
    assert any('ema_' in name for name in whole['latest.pth']['weights'])


@pytest.mark.parametrize('options', [[], BY_ITERATION], ids=['by epoch', 'by iteration'])
def test_half_accumulated_gradients_are_restored(assert_exact, caplog, options):
    accumulate = ['optimizer_config.type=GradientCumulativeOptimizerHook', 'optimizer_config.cumulative_iters=5']
    assert_exact(('after_train_epoch', 3, SAVED_AGAIN), ('after_train_iter', 8, SAVED), options=options + accumulate)
    assert 'gradient of some iters is lost' not in caplog.text


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize(
    'text, length',
    [('', 'data.train.length=12'), (HALF_LABELLED, 'data.train.labelled.length=12')],
    ids=['labelled', 'half labelled'],
)
def test_two_processes_within_an_epoch(config, tmp_path, backend, text, length):
    config.write_text(config.read_text() + text)
    options = ['--cfg-options', *BY_ITERATION, *WORKERS, length]
    calls = [
        (['--work-dir', str(tmp_path / 'whole')], None),
        (['--work-dir', str(tmp_path / 'stopped')], ('after_train_iter', 5, SAVED)),
        (['--work-dir', str(tmp_path / 'stopped'), '--auto-resume'], None),
    ]
    calls = [([str(config), *words, *options], point) for words, point in calls]
    spawn_two(train_in_group, (2, [free_port() for _ in calls], calls), backend)
    whole = final_state(tmp_path / 'whole')
    states = whole['iter_4.pth']['resume']['random_states']
    assert len(states) == 2 and differences(states[0], states[1])
    assert not differences(whole, final_state(tmp_path / 'stopped'))


@pytest.fixture
def half_labelled(config):
    """The config over labelled and unlabelled samples: three batches of two of each an epoch."""
    config.write_text(config.read_text() + HALF_LABELLED)
    return config


def test_labelled_and_unlabelled_samples_go_on_where_they_were(half_labelled, assert_exact):
    assert_exact(('after_train_iter', 2, SAVED), ('after_train_iter', 5, SAVED), ('after_train_epoch', 6, SAVED),
                 options=[*BY_ITERATION, *WORKERS])  # fmt: skip


def test_labelled_and_unlabelled_samples_by_iterations(half_labelled, assert_exact):
    assert_exact(('after_train_iter', 5, SAVED), options=[*ITER_RUNNER, 'checkpoint_config.interval=2'])


def test_the_order_of_labelled_and_unlabelled_samples_is_the_seeds(half_labelled, run, tmp_path):
    def drawn(folder, *options):
        (tmp_path / 'drawn.log').unlink(missing_ok=True)
        run(folder, f'data.train.labelled.log={tmp_path}/drawn.log', f'data.train.unlabelled.log={tmp_path}/drawn.log',
            *options)  # fmt: skip
        lines = (tmp_path / 'drawn.log').read_text().split('\n')
        return [int(line.split()[1]) for line in lines if line]

    first = drawn('a')
    assert len(first) == 3 * 12 and first[:12] != first[12:24]  # another order in each epoch
    assert sorted(first[place] for place in range(12) if place % 4 < 2) == list(range(6))  # two of four are labelled
    assert drawn('b') == first and drawn('c', 'seed=5') != first


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device')
def test_on_a_gpu_its_generator_is_saved(run, tmp_path):
    """The other tests of this file train on the GPU where there is one; dropout draws there."""
    run('a')
    (state,) = final_state(tmp_path / 'a')['epoch_1.pth']['resume']['random_states']
    assert state['cuda'].numel() > 0


def test_an_epoch_of_another_length_is_continued_and_said(run, caplog):
    run('a', *BY_ITERATION, stop=('after_train_iter', 5, SAVED))  # iter_4.pth: 1 of 3 batches of the second epoch
    resumed = run('a', *BY_ITERATION, 'data.train.length=12', resume=True)
    assert 'an epoch had 3 batches when the checkpoint was written, now it has 6' in caplog.text
    assert min(resumed) == (2, 3)


@pytest.mark.parametrize(
    'options, message',
    [
        (
            ['checkpoint_config.by_epoch=True', *ITER_RUNNER],
            'by_epoch=True never saves anything with an IterBasedRunner',
        ),
        ([*BY_ITERATION, 'custom_hooks=[]'], 'EpochSeedHook'),
    ],
)
def test_settings_that_cannot_be_resumed_are_refused_before_training(run, options, message):
    with pytest.raises(ValueError, match=message):
        run('a', *options)
