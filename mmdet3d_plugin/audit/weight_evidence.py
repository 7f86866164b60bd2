"""What a state dict shows by itself: which keys it covers, and whether its layers were ever trained."""

from dataclasses import dataclass

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from ..checkpoints.fit import compare_keys, group_by_module
from .finding import Finding


@dataclass(frozen=True)
class ModuleCoverage:
    """Keys of one top-level module: in the model, found in the file with the right shape, and the odd ones."""

    module: str
    keys: int
    found: int
    missing: int
    misshaped: int
    unexpected: int


def key_coverage(model, state):
    """Compare a model's keys with a file's, module by module.

    Args:
        model (nn.Module): as its config builds it.
        state (dict): state dict of the file.

    Returns:
        list[ModuleCoverage]: in the model's order, then modules that only the file has.
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


def coverage_finding(rows):
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


def not_finite(state):
    """Words for the entries that are not finite, empty when there are none."""
    broken = [key for key, value in state.items() if value.is_floating_point() and not torch.isfinite(value).all()]
    return f'{len(broken)} entries are not finite, {broken[0]} first: diverged training' if broken else ''


def training_finding(model, state):
    """Whether the weights were ever trained, told by the normalisation layers.

    An optimizer step with weight decay moves every scale away from exactly 1, and one batch in training mode moves the
    running statistics away from exactly 0 and 1. A module whose layers are all still there is as it was initialised.

    Args:
        model (nn.Module): as its config builds it.
        state (dict): state dict of the file; layers that it lacks are passed over.

    Returns:
        Finding
    """
    broken = not_finite(state)
    if broken:
        return Finding('weights', 'wrong', broken)
    untouched, layers = {}, {}
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
