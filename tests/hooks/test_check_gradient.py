"""Parameters that never get a gradient stop a real run, by name; everything else passes."""

import logging

import pytest
import torch
from mmcv.parallel import MMDataParallel
from mmcv.runner import EpochBasedRunner, build_optimizer
from torch import nn

from mmdet3d_plugin.hooks import CheckGradientHook


class Net(nn.Module):
    """y = body(x), plus tail(x) from iteration ``late`` on; ``unused`` reaches no loss, ``frozen`` does not train."""

    def __init__(self, late=0, unused=True):
        super().__init__()
        self.student = nn.ModuleDict({'body': nn.Linear(2, 1), 'tail': nn.Linear(2, 1)})
        if unused:
            self.student['unused'] = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
        self.frozen = nn.Linear(2, 2).requires_grad_(False)
        self.late, self.iteration = late, 0

    def train_step(self, data, optimizer):
        loss = self.student['body'](data).sum()
        if self.iteration >= self.late:
            loss = loss + 0 * self.student['tail'](data).sum()  # zeros are gradients too
        self.iteration += 1
        return dict(loss=loss, log_vars={}, num_samples=1)


def run(model, length=4, optimizer_config=None, **options):
    wrapped = MMDataParallel(model, device_ids=[])
    wrapped.train_step = lambda data, optimizer: model.train_step(data, optimizer)
    optimizer = build_optimizer(model, dict(type='SGD', lr=0.1))
    runner = EpochBasedRunner(wrapped, optimizer=optimizer, logger=logging.getLogger('quiet'), max_epochs=1)
    runner.register_optimizer_hook(optimizer_config or dict(grad_clip=None))
    hook = CheckGradientHook(**options)
    runner.register_hook(hook, priority='LOW')
    runner.run([[torch.ones(1, 2)] * length], [('train', 1)])
    return runner, hook


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr('time.sleep', lambda seconds: None)  # mmcv waits 2 s at each epoch's start


@pytest.mark.parametrize(
    'optimizer_config',
    [
        dict(grad_clip=None),
        dict(type='GradientCumulativeOptimizerHook', cumulative_iters=1),
        dict(type='GradientCumulativeOptimizerHook', cumulative_iters=2),
    ],
    ids=['plain', 'cumulative1', 'cumulative2'],
)
def test_parameters_without_a_gradient_are_named_by_module(optimizer_config):
    with pytest.raises(RuntimeError) as caught:
        run(Net(), optimizer_config=optimizer_config, iterations=3)
    message = str(caught.value)
    assert '4 of 8 trained parameters got no gradient in the first 3 iterations' in message
    assert 'student.unused: 4 (0.weight, 0.bias, 1.weight, ...)' in message
    for trained_or_frozen in ('body', 'tail', 'frozen'):
        assert trained_or_frozen not in message
    runner, _ = run(Net(unused=False), optimizer_config=optimizer_config, iterations=3)
    assert runner.iter == 4


def test_a_gradient_of_the_last_counted_iteration_is_enough():
    runner, _ = run(Net(late=2, unused=False), iterations=3)
    assert runner.iter == 4
    with pytest.raises(RuntimeError, match='2 of 4 .* first 2 iterations.*student.tail: 2'):
        run(Net(late=2, unused=False), iterations=2)


def test_allowed_and_unoptimized_parameters_may_stay():
    run(Net(), allow=['student.unused'])


def test_a_run_that_ends_early_stops_listening():
    model = Net()
    run(model, length=3, iterations=4)
    assert not any(parameter._post_accumulate_grad_hooks for parameter in model.parameters())


def test_the_count_is_checked():
    with pytest.raises(ValueError, match='at least 1 iteration, got iterations=0'):
        CheckGradientHook(iterations=0)
