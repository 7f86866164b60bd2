"""Two devices held against each other: hand-computed differences, and operators that are right and wrong."""

import json
import math

import pytest
import torch

BEVDEPTH = 'configs/quickstart/dualdistill_toy.py'


@pytest.fixture
def compare(tool):
    return tool('agreement.compare')


def result(compare, losses, **gradients):
    named = {name.replace('__', '.'): torch.tensor(value) for name, value in gradients.items()}
    return compare.StepResult(losses, named)


def test_differences_are_relative_and_per_module(compare):
    reference = result(compare, dict(loss_a=3.0, loss_b=1.0, loss_c=1e-6), student__neck__w=[3.0, 4.0],
                       student__neck__b=[0.0], student__head__w=[10.0], distill__aligners__bev__w=[2.0])  # fmt: skip
    ours = result(compare, dict(loss_a=3.3, loss_b=1.0, loss_c=3e-6), student__neck__w=[3.0, 4.0],
                  student__neck__b=[1.0], student__head__w=[10.0], distill__aligners__bev__w=[-2.0])  # fmt: skip
    found = compare.compare(ours, reference)
    # a term below a thousandth of the sum is held against that
    assert found.losses == pytest.approx(dict(loss_a=0.1, loss_b=0.0, loss_c=2e-6 / (1e-3 * 4.000001)))
    assert found.total == pytest.approx(0.300002 / 4.000001)
    assert found.modules == pytest.approx(
        {'student.neck': 1 / 5, 'student.head': 0.0, 'distill.aligners.bev': 2.0}
    )  # fmt: skip
    assert found.gradient == pytest.approx(math.sqrt((1 + 16) / (25 + 100 + 4)))
    assert found.problems == ()


def test_a_module_with_hardly_a_gradient_is_held_against_all_gradients(compare):
    reference = result(compare, {}, a__w=[1.0], b__w=[1e-12], c__w=[0.0])
    found = compare.compare(result(compare, {}, a__w=[1.0], b__w=[2e-12], c__w=[0.0]), reference)
    assert found.modules == pytest.approx(dict(a=0.0, b=1e-6, c=0.0))


@pytest.mark.parametrize('precision, factor', [('fp32', 1.05), ('fp16', 1.2), ('bf16', 1.6)])
def test_each_precision_has_its_tolerance(compare, precision, factor):
    reference = result(compare, dict(loss=1.0), a__w=[1.0, 2.0])
    assert compare.compare(reference, reference).failures(precision) == []
    found = compare.compare(result(compare, dict(loss=1.0), a__w=[factor, 2 * factor]), reference)
    words = found.failures(precision)
    assert words[0].startswith(f'the gradient differs by {factor - 1:.2g}, more than')
    assert words[1].startswith('the gradient of a differs by') and len(words) == 2


def test_what_no_tolerance_excuses(compare):
    reference = result(compare, dict(loss_a=1.0, loss_b=1.0), a__w=[1.0], b__w=[1.0])
    ours = compare.StepResult(dict(loss_a=math.nan), {'a.w': torch.tensor([math.inf])}, ('a.w is not finite',))
    words = compare.compare(ours, reference).failures('bf16')
    for expected in ('loss loss_b is there on one device only', 'gradient b.w is there on one device only',
                     'loss loss_a is nan', 'gradient a.w is not finite', 'a.w is not finite'):  # fmt: skip
        assert expected in words
    assert any(word.startswith('the sum of the losses differs by nan') for word in words)


@pytest.fixture
def run(tool, tmp_path, monkeypatch, repo_root, capsys):
    """Function: words of compare_devices.py -> exit status, what it writes, what it prints to the error output."""
    monkeypatch.chdir(repo_root)  # a teacher's config is named relative to it

    def call(*words):
        out = tmp_path / 'out.json'
        words = ['--device', 'cpu', '--points', '2000', '--boxes', '5', '--batch', '1', '--out', out, *words]
        status = tool('compare_devices').main([*map(str, words)])
        return status, json.loads(out.read_text()), capsys.readouterr().err

    return call


def test_compiled_operators_agree_with_plain_torch(run):
    status, report, _ = run(BEVDEPTH, '--precision', 'fp32', 'bf16')
    assert status == 0 and set(report['precisions']) == {'fp32', 'bf16'}
    exact, rough = report['precisions'].values()
    assert 0 < exact['gradient'] < 1e-4 < rough['gradient'] < 0.4  # other sums, and really bfloat16
    assert {'student.img_backbone', 'student.pts_bbox_head', 'distill.aligners.head'} <= exact['modules'].keys()
    assert any(name.startswith('distill.') for name in exact['losses']) and exact['failures'] == []
    assert report['table'][0] == ['relative difference to the CPU in fp32', 'fp32', 'bf16']


def test_an_operator_that_is_off_by_a_twentieth_is_found(run, monkeypatch):
    from mmdet3d_plugin.models.view_transforms import lss_view_transform
    from mmdet3d_plugin.ops.backend import ENVIRONMENT_VARIABLE, os

    right = lss_view_transform.bev_pool

    def wrong(depth, context, plan):
        pooled = right(depth, context, plan)
        return pooled if os.environ.get(ENVIRONMENT_VARIABLE) == 'reference' else pooled + 0.05 * pooled.detach()

    monkeypatch.setattr(lss_view_transform, 'bev_pool', wrong)
    status, report, errors = run(BEVDEPTH, '--precision', 'fp32')
    assert status == 1 and 'fp32: the gradient of student.img_backbone differs by' in errors
    assert report['precisions']['fp32']['failures']


def test_chance_is_refused(run):
    words = ['--cfg-options', 'model.bev_encoder.dropout=0.1', '--precision', 'fp32']
    with pytest.raises(ValueError, match='draws random numbers'):
        run('configs/quickstart/lidarformer_toy.py', *words)
