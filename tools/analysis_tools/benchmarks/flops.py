"""Parameters and multiply-adds of each part of a model, counted while it answers."""

import contextlib
from unittest import mock

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, addmm_flop, sdpa_flop

from .models import build_distiller, build_tested, made_up_batch, read_config

# What torch's counter has no formula for: the products inside mmcv's deformable convolution and attention on a CPU, and
# sparse convolution, one product of a row with a matrix for each pair.
EXTRA_FORMULAS = {
    torch.ops.aten.addmm_: lambda total, a, b, *args, out_shape=None, **kwargs: addmm_flop(total, a, b),
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: lambda q, k, v, *args, out_shape=None, **kwargs: (
        sdpa_flop(q, k, v)
    ),
    torch.ops.dualdistill.sparse_conv: lambda features, weight, pairs, *args, out_shape=None, **kwargs: (
        2 * pairs[0] * weight[1] * weight[2]
    ),
}


@torch.no_grad()
def count(module, call):
    """Multiply-adds of ``call()``: {'': all of it, '<child>': inside that child of ``module``, which is frozen}."""
    module.requires_grad_(False)  # torch's counter trips over a module that is called with a view of a parameter
    with FlopCounterMode(display=False, custom_mapping=EXTRA_FORMULAS) as counter:
        call()
    root = type(module).__name__
    found = {name: sum(by_operator.values()) // 2 for name, by_operator in counter.get_flop_counts().items()}
    children = {name: found.get(f'{root}.{name}', 0) for name, _ in module.named_children()}
    return {'': counter.get_total_flops() // 2, **children}


@contextlib.contextmanager
def called_as_module(head):
    """Let a head that only has ``predict`` run it as its ``forward``: torch's counter knows modules by their calls."""
    if type(head).forward is not nn.Module.forward:
        yield
        return
    predict = head.predict
    with mock.patch.object(head, 'forward', predict), mock.patch.object(head, 'predict', lambda *args: head(*args)):
        yield


def parameters(module):
    """Number of parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def describe_detector(model, batch):
    """[(part, parameters, multiply-adds)] of a detector: all of it, then its children that have any."""
    model.eval()
    # decoding has nothing to count, and the NMS of what initial weights answer takes minutes
    with mock.patch.object(model.head, 'decode', return_value=[]), called_as_module(model.head):
        macs = count(model, lambda: model(return_loss=False, **batch))
    whole = [('all', parameters(model), macs[''])]
    parts = [(name, parameters(child), macs[name]) for name, child in model.named_children()]
    return whole + [part for part in parts if any(part[1:])]


def describe(args):
    """[(part, parameters, multiply-adds)] of everything in a config."""
    cfg = read_config(args)
    if cfg.model.type != 'DualDistill':
        model = build_tested(cfg, args.device)
        return describe_detector(model, made_up_batch(cfg, model, args, 1, testing=True))
    model, _ = build_distiller(cfg, args)
    batch = made_up_batch(cfg, model.student, args, 1, testing=True)
    rows = []
    for owner, detector in (('student', model.student), ('teacher', model.teacher.module)):
        rows += [(f'{owner}: {part}', *numbers) for part, *numbers in describe_detector(detector, batch)]
    for name, aligner in model.distill['aligners'].items():
        feature = torch.zeros(1, *aligner.student.shape, device=args.device)
        rows.append((f'aligner: {name}', parameters(aligner), count(aligner, lambda: aligner(feature))['']))  # noqa: B023
    return rows


def measure(args):
    """(numbers by name, e.g. 'student: all.macs'; a table with a row per part)."""
    rows = describe(args)
    table = [('part', 'parameters, M', 'multiply-adds, G')]
    table += [(part, f'{number / 1e6:.3f}', f'{macs / 1e9:.2f}') for part, number, macs in rows]
    numbers = {f'{part}.{key}': value for part, *pair in rows for key, value in zip(('parameters', 'macs'), pair)}
    return numbers, dict(flops=table)
