"""The two halves of a distiller's losses, told apart by name: the student's own detection, and distillation."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

_DISTILLATION = ('distill.', 'crd.')


def is_distillation(name: str) -> bool:
    """Whether the loss called ``name`` serves distillation."""
    return name.startswith(_DISTILLATION)


def loss_by_purpose(losses: Mapping[str, Tensor]) -> dict[str, Tensor | int]:
    """Sum of the trained terms of each half.

    Args:
        losses: name -> scalar tensor; names with 'loss' are trained on.

    Returns:
        'detection' and 'distillation' -> scalar tensor, 0 for a half without terms; they add up to the trained loss.
    """
    trained = {name: value for name, value in losses.items() if 'loss' in name}
    groups = dict(
        detection=[value for name, value in trained.items() if not is_distillation(name)],
        distillation=[value for name, value in trained.items() if is_distillation(name)],
    )
    return {group: sum(values) for group, values in groups.items()}


def warmup_factor(iteration: int, warmup_iters: int) -> float:
    """What distillation weighs at ``iteration`` (from 0): a line from 1 / warmup_iters to 1, then 1."""
    return min(1.0, (iteration + 1) / warmup_iters) if warmup_iters else 1.0


def scale_distillation(losses: dict[str, Tensor], factor: float) -> dict[str, Tensor]:
    """Losses with the trained terms of distillation times ``factor``; ``raw_*`` and counts stay as they are."""
    if factor == 1.0:
        return losses
    return {
        name: value * factor if is_distillation(name) and 'loss' in name else value for name, value in losses.items()
    }
