"""Losses and gradients of one step against those of a reference: relative differences, tolerances, a verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

# Largest relative difference of the sum of all losses and of each of them, of the gradients of a whole model and of
# each of its modules. They are several times the largest that was measured on a CPU: for fp32 with all weights
# changed by 1e-5 of themselves, as sums in another order do less, for fp16 and bf16 (11 and 8 bits) under autocast.
TOLERANCES = dict(
    fp32=dict(loss=1e-3, term=3e-3, gradient=2e-2, module=3e-2),
    fp16=dict(loss=5e-3, term=2e-2, gradient=1e-1, module=1.5e-1),
    bf16=dict(loss=2e-2, term=1e-1, gradient=4e-1, module=5e-1),
)
_SMALL_TERM = 1e-3  # of the sum of the losses: a term below it is held against this instead
_NEGLIGIBLE = 1e-6  # of the norm of all gradients: a module below it is held against this instead


@dataclass(frozen=True)
class StepResult:
    """What one training step gave.

    Args:
        losses: every named loss term.
        gradients: of every parameter that got one, on the CPU, without loss scale.
        remarks: what went wrong after them, one sentence each.
    """

    losses: dict[str, float]
    gradients: dict[str, Tensor]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Agreement:
    """How far a step is from its reference, all numbers relative.

    Args:
        losses: |ours - reference| / |reference| of every loss term.
        total: the same of their sum.
        modules: |ours - reference|_2 / |reference|_2 of the gradients of every module.
        gradient: the same of all gradients.
        problems: what is wrong whatever the tolerance: terms or gradients on one side only, or not finite.
    """

    losses: dict[str, float]
    total: float
    modules: dict[str, float]
    gradient: float
    problems: tuple[str, ...]

    def failures(self, precision: str) -> list[str]:
        """What a precision does not excuse, one sentence each; empty when the step agrees."""
        tolerance, found = TOLERANCES[precision], list(self.problems)
        numbers = [('the sum of the losses', self.total, 'loss'), ('the gradient', self.gradient, 'gradient')]
        numbers += [(f'loss {name}', value, 'term') for name, value in self.losses.items()]
        numbers += [(f'the gradient of {name}', value, 'module') for name, value in self.modules.items()]
        for what, value, kind in numbers:
            if not value <= tolerance[kind]:
                found.append(f'{what} differs by {value:.2g}, more than {tolerance[kind]:g}')
        return found


def compare(ours: StepResult, reference: StepResult) -> Agreement:
    """Hold a step against its reference."""
    total = sum(reference.losses.values())
    losses = {
        name: _relative(ours.losses[name], value, _SMALL_TERM * total)
        for name, value in reference.losses.items()
        if name in ours.losses
    }
    shared = [name for name in reference.gradients if name in ours.gradients]
    squares: dict[str, list[float]] = {}
    for name in shared:
        wanted = reference.gradients[name].double()
        both = squares.setdefault(module_of(name), [0.0, 0.0])
        both[0] += float((ours.gradients[name].double() - wanted).square().sum())
        both[1] += float(wanted.square().sum())
    whole = [math.fsum(values) for values in zip(*squares.values())] or [0.0, 0.0]
    least = _NEGLIGIBLE**2 * whole[1]
    return Agreement(
        losses=losses,
        total=_relative(sum(ours.losses.values()), total),
        modules={name: _ratio(difference, max(norm, least)) for name, (difference, norm) in squares.items()},
        gradient=_ratio(*whole),
        problems=tuple(_problems(ours, reference)),
    )


def module_of(parameter: str) -> str:
    """'student.img_neck' of 'student.img_neck.convs.0.weight': a part of a detector, or one aligner of a distiller."""
    parts = parameter.split('.')
    depth = dict(student=2, distill=3).get(parts[0], 1)
    return '.'.join(parts[:depth])


def _relative(value, wanted, least=0.0):
    return _ratio((value - wanted) ** 2, max(abs(wanted), least) ** 2)


def _ratio(difference, norm):
    """Root of a quotient of two sums of squares; 0 / 0 is 0, and what is not finite stays so."""
    if difference == 0:
        return 0.0
    return math.sqrt(difference / norm) if norm > 0 else math.inf


def _problems(ours, reference):
    for what, left, right in (
        ('loss', ours.losses, reference.losses),
        ('gradient', ours.gradients, reference.gradients),
    ):
        for name in sorted(left.keys() ^ right.keys()):
            yield f'{what} {name} is there on one device only'
    for name, value in ours.losses.items():
        if not math.isfinite(value):
            yield f'loss {name} is {value}'
    for name, gradient in ours.gradients.items():
        if not gradient.isfinite().all():
            yield f'gradient {name} is not finite'
    yield from ours.remarks
