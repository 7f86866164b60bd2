"""The reference algorithms of the benchmark compute what ours do, and its clocks and gauges read what they should."""

import importlib
import time

import pytest
import torch
from torch import nn

from mmdet3d_plugin.distill.regions import build_regions
from mmdet3d_plugin.ops.bev_pool import BEVPoolPlan, bev_pool
from mmdet3d_plugin.structures import BEVGrid
from mmdet3d_plugin.synthetic.random_batch import random_boxes

GRID = BEVGrid(-8.0, -6.0, 8.0, 6.0, 12, 20)


@pytest.fixture
def module(analysis_tools):
    """Function: name -> module of the package ``benchmarks``."""
    return lambda name: importlib.import_module(f'benchmarks.{name}')


@pytest.mark.parametrize('name', ['pool_by_cumulative_sum', 'pool_by_index_add', 'pool_by_intervals'])
def test_pooling_algorithms_agree(module, name):
    locations = (torch.rand(2, 3, 7, 5, 9, 3) - 0.5) * torch.tensor([20.0, 16.0, 6.0])
    plan = BEVPoolPlan.from_geometry(locations, GRID, (-2.0, 2.0))
    depth = torch.rand(plan.frustum_shape, dtype=torch.float64, requires_grad=True)
    context = torch.randn(2, 3, 4, 5, 9, dtype=torch.float64, requires_grad=True)
    grad = torch.randn(2, 4, 12, 20, dtype=torch.float64)
    results = []
    for pool in (bev_pool, getattr(module('peers'), name)):
        out = pool(depth, context, plan)
        results.append((out, *torch.autograd.grad(out, (depth, context), grad)))
    torch.testing.assert_close(*results)


def test_numpy_regions_agree(module):
    boxes = [random_boxes(count, 8.0)[0] for count in (6, 0, 9)]
    mask, scale = module('peers').regions_by_sample(boxes, GRID)
    ours = build_regions(boxes, GRID)
    assert mask.any() and torch.equal(ours.fg, torch.from_numpy(mask))
    torch.testing.assert_close(ours.fg_scale, torch.from_numpy(scale))


def test_a_wrong_variant_is_an_error(module):
    variants = module('variants')
    right = torch.tensor([1.0, 2.0])
    assert variants.check_equal(dict(ours=right, other=right + 2e-6), 1e-5) == pytest.approx(2e-6, rel=0.1)
    with pytest.raises(AssertionError):
        variants.check_equal(dict(ours=right, other=right + 1e-4), 1e-5)


def test_ratios_are_of_reference_to_ours(module):
    times = dict(ours=[1.0, 2.0, 1.0], other=[3.0, 8.0, 2.0])
    numbers = module('variants').compare('bev_pool', 'forward', times)
    assert numbers['bev_pool.forward_ratio_vs_other'] == 3.0 and numbers['bev_pool.forward.ours.median_ms'] == 1000.0
    rows = module('variants').variant_rows(numbers, 'bev_pool', 'forward', times)
    assert rows[0] == ('forward, ms', '1000.00 (1000.00 to 1500.00)', '3000.00 (2500.00 to 5500.00)')
    assert rows[1] == ('forward, ratio', '1', '3.0')


def test_every_other_round_runs_backwards(module):
    calls = []
    functions = {name: lambda name=name: calls.append(name) for name in 'ab'}
    times = module('timing').paired_times('two', functions, rounds=2, warmup=1)
    assert ''.join(calls) == 'baabba' and [len(seconds) for seconds in times.values()] == [2, 2]


def test_peak_memory_counts_what_lives_at_once(module):
    def two_then_one():
        first = torch.zeros(2**18)  # 1 MiB
        second = torch.zeros(2**18)
        del first, second
        return torch.zeros(2**18)

    assert module('timing').peak_extra_mib(two_then_one) == pytest.approx(2.0, abs=0.01)


def test_parts_are_timed_inside_rounds_only(module):
    class Sleeper(nn.Module):
        def forward(self):
            time.sleep(0.01)
            return 'slept'

        def nap(self):
            time.sleep(0.01)

    sleeper, timer = Sleeper(), module('part_timer').PartTimer('cpu')
    timer.watch(sleeper, 'forward', 'first')
    timer.watch(sleeper, 'nap', 'second')
    assert sleeper() == 'slept'
    with timer.one_round():
        assert sleeper() == 'slept'
    with timer.one_round():
        sleeper.nap(), sleeper()
    timer.stop()
    assert 'forward' not in vars(sleeper)
    seconds = timer.seconds(2)
    assert list(seconds) == ['first', 'second'] and seconds['second'][0] == 0
    assert min(seconds['first'][0], seconds['first'][1], seconds['second'][1]) >= 0.01
    assert timer.seconds(1) == {part: values[1:] for part, values in reversed(seconds.items())}
