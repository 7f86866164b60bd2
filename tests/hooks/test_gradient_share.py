"""The gradient of distillation against that of detection: numbers, schedule, warning, an untouched training step."""

import copy
from types import SimpleNamespace

import pytest
import torch
from helpers.distill_fakes import build, distiller_cfg, make_batch, write_teacher
from mmcv.parallel import MMDataParallel
from mmcv.runner import LogBuffer
from torch import nn

from mmdet3d_plugin.hooks import GradientShareHook
from mmdet3d_plugin.hooks.gradient_share import compare_gradients


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    return build(distiller_cfg(write_teacher(tmp_path_factory.mktemp('teacher')))).train()


def runner_of(model, outputs, inner_iter=0, hooks=()):
    lines = []
    return SimpleNamespace(
        model=model, outputs=outputs, inner_iter=inner_iter, epoch=0, hooks=hooks, log_buffer=LogBuffer(),
        logger=SimpleNamespace(warning=lines.append), lines=lines,
    )  # fmt: skip


def test_numbers_of_a_case_worked_out_by_hand():
    """f = 3 a + 4 b and g = 5 b on (a, b): norms 5 and 5, share 1/2, cosine 4/5; c is in neither."""
    a, b, c = (nn.Parameter(torch.ones(())) for _ in range(3))
    for scale in (1.0, 1024.0):
        values = compare_gradients((3 * a + 4 * b, 5 * b), [a, b, c], scale)
        assert values == pytest.approx((5.0, 5.0, 0.5, 0.8))
    assert all(parameter.grad is None for parameter in (a, b, c))
    assert compare_gradients((0 * a, 0 * b), [a, b]) == (0.0, 0.0, 0.0, 0.0)


def test_the_logged_numbers_are_those_of_two_backward_passes(model):
    outputs = model.train_step(make_batch(), None)
    runner = runner_of(MMDataParallel(model, device_ids=[]), outputs)
    GradientShareHook(interval=1, shared='stem').after_train_iter(runner)
    norms = {}
    for group in ('detection', 'distillation'):
        model.zero_grad()
        outputs['loss_by_purpose'][group].backward(retain_graph=True)
        norms[group] = torch.cat([p.grad.flatten() for p in model.student.stem.parameters()]).norm().item()
        assert runner.log_buffer.output[f'grad.{group}'] == pytest.approx(norms[group], rel=1e-5)
    share = norms['distillation'] / sum(norms.values())
    assert runner.log_buffer.output['grad.distill_share'] == pytest.approx(share, rel=1e-5)
    assert -1 <= runner.log_buffer.output['grad.cosine'] <= 1
    model.zero_grad()


def test_measuring_leaves_the_step_as_it_was(model):
    measured, plain = copy.deepcopy(model), copy.deepcopy(model)
    for detector in (measured, plain):
        outputs = detector.train_step(make_batch(), None)
        if detector is measured:
            GradientShareHook(interval=1, shared=None).after_train_iter(runner_of(detector, outputs))
        outputs['loss'].backward()
    for (name, ours), theirs in zip(measured.named_parameters(), plain.parameters()):
        assert torch.equal(ours.grad, theirs.grad), name


def test_only_distillers_are_measured_and_only_on_time(model):
    hook = GradientShareHook(interval=3, shared='stem')
    runner = runner_of(model, dict(loss=torch.ones(())), inner_iter=2)
    hook.after_train_iter(runner)
    assert not runner.log_buffer.output
    outputs = model.train_step(make_batch(), None)
    measured = []
    for inner_iter in range(7):
        runner = runner_of(model, outputs, inner_iter)
        hook.after_train_iter(runner)
        measured += [inner_iter] if runner.log_buffer.output else []
    assert measured == [2, 5]


def test_the_scale_of_mixed_precision_is_used(model):
    class Scaler:
        def get_scale(self):
            return 512.0

    outputs = model.train_step(make_batch(), None)
    plain, scaled = (runner_of(model, outputs, hooks=hooks) for hooks in ([], [SimpleNamespace(loss_scaler=Scaler())]))
    for runner in (plain, scaled):
        GradientShareHook(interval=1, shared='stem').after_train_iter(runner)
    assert scaled.log_buffer.output == pytest.approx(plain.log_buffer.output, rel=1e-4)


def test_too_strong_distillation_is_warned_of_once_an_epoch(model):
    outputs = model.train_step(make_batch(), None)
    runner = runner_of(model, outputs, inner_iter=4)
    hook = GradientShareHook(interval=1, shared='stem', warn_ratio=0.0)
    hook.after_train_iter(runner)
    hook.after_train_iter(runner)
    assert len(runner.lines) == 1
    for part in ('epoch 1, iteration 5', 'on stem', 'warn_ratio=0', 'model.warmup_iters'):
        assert part in runner.lines[0]
    hook.before_train_epoch(runner)
    hook.after_train_iter(runner)
    assert len(runner.lines) == 2
    quiet = runner_of(model, outputs)
    GradientShareHook(interval=1, shared='stem', warn_ratio=1e9).after_train_iter(quiet)
    assert quiet.lines == []


def test_a_batch_without_labels_is_no_reason_to_warn(model):
    batch = make_batch()
    batch['img_metas'] = [dict(meta, labelled=False) for meta in batch['img_metas']]
    runner = runner_of(model, model.train_step(batch, None), inner_iter=4)
    GradientShareHook(interval=1, warn_ratio=0.0).after_train_iter(runner)
    assert runner.log_buffer.output['grad.detection'] == 0 < runner.log_buffer.output['grad.distillation']
    assert runner.lines == []


def test_a_teacher_that_only_labels_has_no_share(model):
    outputs = model.train_step(make_batch(), None)
    outputs['loss_by_purpose']['distillation'] = 0  # no term at all
    runner = runner_of(model, outputs, inner_iter=4)
    GradientShareHook(interval=1).after_train_iter(runner)
    assert runner.log_buffer.output == {}


def test_an_unknown_part_of_the_student_is_named(model):
    outputs = model.train_step(make_batch(), None)
    with pytest.raises(ValueError, match=r"no part 'img_bev_encoder_backbone'; choose one of stem, stage1"):
        GradientShareHook(interval=1, shared='img_bev_encoder_backbone').after_train_iter(runner_of(model, outputs))


def test_the_student_says_which_part_both_train(model):
    outputs = model.train_step(make_batch(), None)
    by_itself, whole = runner_of(model, outputs), runner_of(model, outputs)
    GradientShareHook(interval=1).after_train_iter(by_itself)
    GradientShareHook(interval=1, shared='').after_train_iter(whole)
    assert dict(by_itself.log_buffer.output) == dict(whole.log_buffer.output)  # a detector that names no part
