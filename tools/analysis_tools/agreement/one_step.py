"""The training step of a config on the CPU in float32, with plain torch operators, and on a device in any precision."""

from __future__ import annotations

import argparse
import contextlib
import copy
import os

import torch
from benchmarks.models import build_distiller, made_up_batch, make_center_head_sure, read_config
from mmcv.runner import OptimizerHook, build_optimizer, wrap_fp16_model
from torch import nn

from mmdet3d_plugin.engine import build_model
from mmdet3d_plugin.ops.backend import ENVIRONMENT_VARIABLE

from .compare import StepResult, compare

_LOSS_SCALE = 512.0  # mmcv's default for fp16
_NOISE = 0.02
_SURE_CELLS = 50


def measure(args):
    """Agreement of each of ``args.precision`` on ``args.device`` with the CPU.

    Args:
        args (argparse.Namespace): ``config``, ``cfg_options``, ``boxes`` and ``points`` a sample, ``batch`` samples,
            ``device`` and ``precision``.

    Returns:
        dict[str, Agreement]: by precision.

    Raises:
        ValueError: the step draws random numbers, so that no two devices can agree.
    """
    cfg = read_config(args)
    on_cpu = argparse.Namespace(**{**vars(args), 'device': 'cpu'})
    model = _build(cfg, on_cpu)
    reference = _reference(cfg, copy.deepcopy(model), on_cpu)
    found = {}
    for precision in args.precision:
        tested = copy.deepcopy(model).to(args.device)
        with _full_precision_products():
            found[precision] = compare(_step(cfg, tested, args, precision), reference)
    return found


def _build(cfg, args):
    """The model on the CPU, in training mode; weights are initial ones and noise."""
    if 'teacher' not in cfg.model:
        model = build_model(cfg).train()
    else:
        model, random_teacher = build_distiller(cfg, args)
        if random_teacher:
            make_center_head_sure(model.teacher, _batch(cfg, model, args), _SURE_CELLS)
    leave_kinks(model)
    return model


def _batch(cfg, model, args):
    """The same on every call, but for the device."""
    return made_up_batch(cfg, getattr(model, 'student', model), args, args.batch)


@torch.no_grad()
def leave_kinks(model: nn.Module) -> None:
    """Make a step as smooth as it can be, so that rounding moves it by little and a mistake stands out.

    A ReLU multiplies rounding: of a million activations some are so near to zero that they change sides, and gradients
    then differ by 1e-3 to 1e-1 between two correct devices. GELU takes its place here. Initial sampling offsets are
    whole cells, where bilinear interpolation has its kinks, and other parameters start from zero, which would hide
    what flows through them: all trained ones get some noise.
    """
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.ReLU):
                setattr(parent, name, nn.GELU())
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.add_(_NOISE * torch.randn(parameter.shape, generator=generator))


def _reference(cfg, model, args):
    before = torch.get_rng_state()
    with _plain_operators():
        result = _step(cfg, model, args, 'fp32')
    if not torch.equal(before, torch.get_rng_state()):
        raise ValueError('the training step draws random numbers (dropout, masks): set them to 0 with --cfg-options')
    return result


@contextlib.contextmanager
def _plain_operators():
    before = os.environ.get(ENVIRONMENT_VARIABLE)
    os.environ[ENVIRONMENT_VARIABLE] = 'reference'
    try:
        yield
    finally:
        del os.environ[ENVIRONMENT_VARIABLE]
        if before is not None:
            os.environ[ENVIRONMENT_VARIABLE] = before


@contextlib.contextmanager
def _full_precision_products():
    """Float32 is float32 on a GPU, too, and not TF32 with its 11 bits."""
    flags = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [flag.allow_tf32 for flag in flags]
    try:
        for flag in flags:
            flag.allow_tf32 = False
        yield
    finally:
        for flag, value in zip(flags, before):
            flag.allow_tf32 = value


def _step(cfg, model, args, precision):
    """StepResult of one step; the optimizer's update must leave finite weights behind."""
    batch, scale = _batch(cfg, model, args), _LOSS_SCALE if precision == 'fp16' else 1.0
    with _reduced(model, args.device, precision):
        outputs = model.train_step(batch, None)
    optimizer = build_optimizer(model, cfg.optimizer)
    (scale * outputs['loss']).backward()
    trained = {name: p for name, p in model.named_parameters() if p.grad is not None}
    for parameter in trained.values():
        parameter.grad.div_(scale)
    gradients = {name: parameter.grad.detach().cpu().clone() for name, parameter in trained.items()}
    clip = cfg.get('optimizer_config', {}).get('grad_clip')
    if clip:
        OptimizerHook(clip).clip_grads(list(trained.values()))
    optimizer.step()
    spoilt = [name for name, p in trained.items() if not p.isfinite().all()]
    losses = {name: value for name, value in outputs['log_vars'].items() if 'loss' in name and name != 'loss'}
    return StepResult(losses, gradients, tuple(f'{name} is not finite after the update' for name in spoilt))


def _reduced(model, device, precision):
    """The context of a forward pass: autocast, but fp16 on a GPU as ``fp16 = dict(...)`` in a config trains it."""
    if precision == 'fp32':
        return contextlib.nullcontext()
    if precision == 'fp16' and device == 'cuda':
        wrap_fp16_model(model)
        return contextlib.nullcontext()
    return torch.autocast(device, dict(fp16=torch.float16, bf16=torch.bfloat16)[precision])
