"""What weights show by themselves: which keys they cover, whether they were ever trained, and, by the sizes that a
CenterPoint head gives, the order of length and width and of the tasks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from mmdet3d.models.dense_heads import CenterHead
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .findings import Finding
from .key_fit import compare_keys, group_by_module
from .told_by_meta import CONVERTER

# Mean length, width and height of nuScenes' classes, metres (published box statistics). A barrier is wider than long.
TYPICAL_SIZE = {
    'car': (4.63, 1.96, 1.74),
    'truck': (6.93, 2.51, 2.84),
    'construction_vehicle': (6.37, 2.85, 3.19),
    'bus': (10.5, 2.94, 3.47),
    'trailer': (12.29, 2.90, 3.87),
    'barrier': (0.50, 2.53, 0.98),
    'motorcycle': (2.11, 0.77, 1.47),
    'bicycle': (1.70, 0.60, 1.28),
    'pedestrian': (0.73, 0.67, 1.77),
    'traffic_cone': (0.41, 0.41, 1.07),
}
_SURE = 0.25  # share of the typical length-to-width ratios that the outputs must show, in one sense or the other
_CLOSE = 0.3  # mean distance of logarithmic sizes up to which a task order counts as confirmed


@dataclass(frozen=True)
class ModuleCoverage:
    """Keys of one top-level module: in the model, found in the file with the right shape, and the odd ones."""

    module: str
    keys: int
    found: int
    missing: int
    misshaped: int
    unexpected: int


def key_coverage(model: nn.Module, state: Mapping[str, Tensor]) -> list[ModuleCoverage]:
    """Compare a model's keys with a file's, module by module.

    Args:
        model: as its config builds it.
        state: state dict of the file.

    Returns:
        in the model's order, then modules that only the file has.
    """
    fit = compare_keys(model, state)
    names = dict(found=fit.found, missing=fit.missing, misshaped=list(fit.misshaped), unexpected=fit.unexpected)
    grouped = {kind: group_by_module(inside) for kind, inside in names.items()}
    rows = []
    for module in dict.fromkeys(key.split('.', 1)[0] for key in [*model.state_dict(), *state]):
        found, missing, misshaped, unexpected = (len(grouped[kind].get(module, ())) for kind in names)
        if found or missing or misshaped or unexpected:
            rows.append(ModuleCoverage(module, found + missing + misshaped, found, missing, misshaped, unexpected))
    return rows


def coverage_finding(rows: Sequence[ModuleCoverage]) -> Finding:
    """The verdict on :func:`key_coverage`: any missing, misshaped or unexpected key is wrong."""
    bad = []
    for row in rows:
        if row.keys and row.missing == row.keys:
            bad.append(f'{row.module} is missing (all {row.keys} keys)')
            continue
        counts = dict(missing=row.missing, misshaped=row.misshaped, unexpected=row.unexpected)
        parts = [f'{count} {name}' for name, count in counts.items() if count]
        if parts:
            bad.append(f'{row.module} has {", ".join(parts)} of {row.keys} keys')
    if bad:
        return Finding('keys', 'wrong', f'{"; ".join(bad)}: take the config the weights were trained with, or convert')
    return Finding('keys', 'ok', f'all {sum(row.keys for row in rows)} found, none left over')


def not_finite(state: Mapping[str, Tensor]) -> str:
    """Words for the entries that are not finite, empty when there are none."""
    broken = [key for key, value in state.items() if value.is_floating_point() and not torch.isfinite(value).all()]
    return f'{len(broken)} entries are not finite, {broken[0]} first: diverged training' if broken else ''


def training_finding(model: nn.Module, state: Mapping[str, Tensor]) -> Finding:
    """Whether the weights were ever trained, told by the normalisation layers.

    An optimizer step with weight decay moves every scale away from exactly 1, and one batch in training mode moves the
    running statistics away from exactly 0 and 1. A module whose layers are all still there is as it was initialised.

    Args:
        model: as its config builds it.
        state: state dict of the file; layers that it lacks are passed over.
    """
    broken = not_finite(state)
    if broken:
        return Finding('weights', 'wrong', broken)
    untouched: dict[str, int] = {}
    layers: dict[str, int] = {}
    for name, layer in model.named_modules():
        if not isinstance(layer, _BatchNorm) or f'{name}.running_var' not in state or layer.weight is None:
            continue
        module = name.split('.', 1)[0]
        layers[module] = layers.get(module, 0) + 1
        untouched[module] = untouched.get(module, 0) + (not _trained(state, name) or not _ran(state, name))
    if not layers:
        return Finding('weights', 'unknown', 'no batch normalisation to tell trained from random weights by')
    fresh = [module for module in layers if untouched[module] == layers[module]]
    if len(fresh) == len(layers):
        return Finding('weights', 'wrong', f'random: all {sum(layers.values())} norm layers are as initialised')
    if fresh:
        return Finding(
            'weights', 'wrong', f'{", ".join(fresh)} random: norm layers as initialised, the rest is trained'
        )
    return Finding('weights', 'ok', f'trained: {sum(layers.values())} norm layers left their initial values')


def _trained(state, name):
    return not (_all_equal(state.get(f'{name}.weight'), 1.0) and _all_equal(state.get(f'{name}.bias'), 0.0))


def _ran(state, name):
    return not (_all_equal(state[f'{name}.running_mean'], 0.0) and _all_equal(state[f'{name}.running_var'], 1.0))


def _all_equal(value, number):
    return value is not None and bool((value == number).all())


def mean_outputs(branch: nn.Sequential, shared_conv: nn.Module) -> Tensor | None:
    """Outputs of one regression branch on an average cell, estimated from weights alone.

    Before the last convolution each channel is ReLU(batch norm): over the training data its input is distributed about
    as N(shift, scale^2), so its mean is known, and the last convolution is linear.

    Args:
        branch: zero or more ConvModules, then a convolution.
        shared_conv: ConvModule in front of the branch.

    Returns:
        (C,) float tensor, None where no batch normalisation precedes the last convolution.
    """
    before = branch[-2] if len(branch) > 1 else shared_conv
    norm = next((layer for layer in before.modules() if isinstance(layer, _BatchNorm)), None)
    last = branch[-1]
    if norm is None or not isinstance(last, nn.Conv2d):
        return None
    mean, spread = norm.bias.double(), norm.weight.double().abs().clamp(min=1e-6)
    ratio = mean / spread
    density = torch.exp(-0.5 * ratio**2) / math.sqrt(2 * math.pi)
    activation = mean * torch.special.ndtr(ratio) + spread * density
    response = last.weight.double().sum(dim=(2, 3)) @ activation
    return response if last.bias is None else response + last.bias.double()


@torch.no_grad()
def task_sizes(head: CenterHead) -> tuple[Tensor, Tensor] | None:
    """Logarithmic sizes that a head gives on an average cell, beside what is typical for its tasks.

    Args:
        head: with ``task_heads``, ``class_names`` and logarithmic sizes.

    Returns:
        estimated and typical, each (tasks, 3) float64; None when the head does not tell.
    """
    names = [name for task in head.class_names for name in task]
    if not getattr(head, 'norm_bbox', False) or set(names) - set(TYPICAL_SIZE):
        return None
    branches = [getattr(task_head, 'dim', None) for task_head in head.task_heads]
    outputs = [None if branch is None else mean_outputs(branch, head.shared_conv) for branch in branches]
    estimated = [output for output in outputs if output is not None]
    if len(estimated) < len(outputs):
        return None
    typical = [
        torch.tensor([TYPICAL_SIZE[name] for name in task]).double().log().mean(dim=0) for task in head.class_names
    ]
    return torch.stack(estimated), torch.stack(typical)


def length_width_agreement(sizes: tuple[Tensor, Tensor]) -> float:
    """How far size outputs follow l, w (1), follow w, l (-1) or neither (0) of the typical sizes.

    Args:
        sizes: see :func:`task_sizes`.

    Returns:
        projection of the estimated log(first / second size) of each task on the typical log(l / w), divided by
        the latter's square.
    """
    estimate, typical = (values[:, 0] - values[:, 1] for values in sizes)
    return float((estimate * typical).sum() / typical.square().sum())


def size_order_finding(head: CenterHead) -> Finding:
    """Whether the head's sizes are l, w, h (mmdet3d 1.x) or w, l, h (before), by :func:`length_width_agreement`."""
    sizes = task_sizes(head)
    if sizes is None:
        return Finding('boxes by weights', 'unknown', 'no logarithmic size outputs of nuScenes classes to tell from')
    agreement = length_width_agreement(sizes)
    shown = f'length to width as typical: {agreement:+.2f} (1 for l, w, h, -1 for w, l, h)'
    if agreement < -_SURE:
        return Finding('boxes by weights', 'wrong', f'{shown}: outputs of mmdet3d before 1.0, {CONVERTER}')
    return Finding('boxes by weights', 'ok' if agreement > _SURE else 'unknown', shown)


def task_order_finding(head: CenterHead) -> Finding:
    """Whether the tasks' size outputs fit the tasks' classes, or the same tasks in another order far better.

    Sizes do not tell the classes of one task apart. Length and width are compared without their order.
    """
    sizes = task_sizes(head)
    if sizes is None:
        return Finding('classes by weights', 'unknown', 'no logarithmic size outputs of nuScenes classes to tell from')
    estimate, typical = (torch.cat([v[:, :2].sort(dim=1).values, v[:, 2:]], dim=1) for v in sizes)
    cost = (estimate[:, None] - typical[None]).abs().mean(dim=2)
    counts = torch.tensor([len(task) for task in head.class_names])
    cost = torch.where(counts[:, None] == counts[None], cost, torch.full_like(cost, 1e3))
    order = linear_sum_assignment(cost.numpy())[1]
    as_configured, best = float(cost.diagonal().mean()), float(cost[range(len(cost)), order].mean())
    shown = f'sizes of the tasks are {as_configured:.2f} from typical (mean logarithm)'
    if best < 0.5 * as_configured and as_configured > _CLOSE / 2:
        theirs = [list(head.class_names[index]) for index in order]
        text = f'{shown}, {best:.2f} in the order {theirs}: write the order of the file into the config'
        return Finding('classes by weights', 'wrong', text)
    confirmed = as_configured < _CLOSE and list(order) == sorted(order)
    return Finding('classes by weights', 'ok' if confirmed else 'unknown', shown)
