"""Which losses are distillation, and their warm-up: values, gradients, and a resume that goes on where it stopped."""

import logging

import pytest
import torch
from helpers.distill_fakes import build, distiller_cfg, make_batch, write_teacher
from mmcv.runner import EpochBasedRunner

from mmdet3d_plugin.distill.detection_vs_distillation import loss_by_purpose, scale_distillation, warmup_factor


@pytest.fixture(scope='module')
def teacher(tmp_path_factory):
    return write_teacher(tmp_path_factory.mktemp('teacher'))


def terms(**values):
    """Scalars by name, '__' for '.'."""
    return {name.replace('__', '.'): torch.tensor(value) for name, value in values.items()}


LOSSES = terms(
    task0__loss_heatmap=1.0, loss_depth=2.0, distill__head__loss_fg=4.0, distill__head__raw_fg=40.0,
    crd__task0__loss_bbox=8.0, crd__raw_bbox=80.0, crd__num_boxes=800.0,
)  # fmt: skip


def test_groups_hold_the_trained_terms_alone():
    assert loss_by_purpose(LOSSES) == dict(detection=3.0, distillation=12.0)


def test_scaling_touches_trained_distillation_terms_alone():
    scaled = scale_distillation(LOSSES, 0.5)
    changed = {name: value.item() for name, value in scaled.items() if value != LOSSES[name]}
    assert changed == {'distill.head.loss_fg': 2.0, 'crd.task0.loss_bbox': 4.0}
    assert list(scaled) == list(LOSSES) and scale_distillation(LOSSES, 1.0) is LOSSES


def test_the_factor_is_a_line_that_ends_at_one():
    assert [warmup_factor(i, 4) for i in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert warmup_factor(None, 0) == warmup_factor(7, 0) == 1.0


def test_losses_and_gradients_grow_with_the_iteration(teacher):
    full, ramped = (build(distiller_cfg(teacher, warmup_iters=n)).eval() for n in (0, 10))
    outputs = full.train_step(make_batch(), None)
    ramped.set_iteration(3)
    partly = ramped.train_step(make_batch(), None)
    for name, value in outputs['log_vars'].items():
        if name == 'loss':
            continue
        factor = 0.4 if name.startswith(('distill.', 'crd.')) and 'loss' in name else 1.0
        assert partly['log_vars'][name] == pytest.approx(factor * value, rel=1e-5), name
    groups = outputs['loss_by_purpose']
    assert (groups['detection'] + groups['distillation']).item() == pytest.approx(outputs['loss'].item(), rel=1e-5)
    weight = full.distill['aligners']['head'].conv.weight, ramped.distill['aligners']['head'].conv.weight
    outputs['loss'].backward()
    partly['loss'].backward()
    torch.testing.assert_close(weight[1].grad, 0.4 * weight[0].grad, rtol=1e-4, atol=1e-7)


def test_warm_up_without_an_iteration_says_which_hook_is_missing(teacher):
    model = build(distiller_cfg(teacher, warmup_iters=10))
    with pytest.raises(ValueError, match=r'warmup_iters=10.*type="SetIterationHook"'):
        model.forward_train(**make_batch())
    with pytest.raises(ValueError, match='-1'):
        build(distiller_cfg(teacher, warmup_iters=-1))


def train(teacher, work_dir, epochs, resume=None):
    """Weighted distillation term of each iteration, three an epoch."""
    model = build(distiller_cfg(teacher, warmup_iters=8))
    runner = EpochBasedRunner(
        model,
        optimizer=torch.optim.SGD(model.parameters(), lr=1e-4),
        work_dir=str(work_dir),
        logger=logging.getLogger('test_warm_up'),
        max_epochs=epochs,
    )
    seen = []

    runner.register_optimizer_hook(dict(grad_clip=None))
    runner.register_hook_from_cfg(dict(type='SetIterationHook'))
    runner.register_checkpoint_hook(dict(interval=1))
    if resume:
        runner.resume(str(resume))
    step = model.train_step

    def recorded(*args, **kwargs):
        outputs = step(*args, **kwargs)
        seen.append((runner.iter, outputs['log_vars']['distill.head.loss_bg'], outputs['log_vars']['loss']))
        return outputs

    model.train_step = recorded
    runner.run([[make_batch(seed=seed) for seed in range(3)]], [('train', 1)])
    return seen


def test_a_resumed_warm_up_repeats_the_uninterrupted_one(teacher, tmp_path, monkeypatch):
    monkeypatch.setattr('time.sleep', lambda seconds: None)  # mmcv waits 2 s at each epoch's start
    whole = train(teacher, tmp_path / 'whole', epochs=3)
    train(teacher, tmp_path / 'half', epochs=1)
    resumed = train(teacher, tmp_path / 'half', epochs=3, resume=tmp_path / 'half' / 'epoch_1.pth')
    assert [entry[0] for entry in whole] == list(range(9))
    assert resumed == whole[3:]
    first, last = whole[0][1], whole[6][1]  # the same batch, at 1/8 and 7/8 of the weight
    assert last == pytest.approx(7 * first, rel=0.1)
