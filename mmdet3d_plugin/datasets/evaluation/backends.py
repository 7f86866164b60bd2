"""Which evaluation runs: the devkit's, the fast one, or both to see that they agree."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

BACKENDS = ('fast', 'devkit', 'both')
TOLERANCE = 1e-9
_OF_ONE_RUN = ('eval_time', 'cfg')


class EvaluationsDiffer(RuntimeError):
    """The fast evaluation gives another number than the devkit."""


def check_backend(name: str) -> None:
    """Raise ValueError for an unknown name."""
    if name not in BACKENDS:
        raise ValueError(f'unknown evaluation backend {name!r}; known: {", ".join(BACKENDS)}')


def check_agreement(fast: Mapping, devkit: Mapping, tolerance: float = TOLERANCE) -> float:
    """Compare two summaries of the devkit's form, number by number; NaN agrees with NaN.

    Args:
        fast: Of the fast evaluation.
        devkit: Of the devkit.
        tolerance: Largest difference.

    Returns:
        The largest difference.

    Raises:
        EvaluationsDiffer: Names the key that differs most.
    """
    ours, theirs = dict(_numbers(fast)), dict(_numbers(devkit))
    if set(ours) != set(theirs):
        raise EvaluationsDiffer(f'only one of the two evaluations has {sorted(set(ours) ^ set(theirs))}')
    differences = {key: _difference(ours[key], theirs[key]) for key in ours}
    worst = max(differences, key=lambda key: differences[key])
    if differences[worst] > tolerance:
        raise EvaluationsDiffer(
            f'the fast evaluation differs from the devkit in {worst}: {ours[worst]!r} and {theirs[worst]!r}. '
            f'Please report it; --eval-backend devkit goes without the fast one'
        )
    return differences[worst]


def _numbers(summary: Mapping[Any, Any], place: str = '') -> Iterator[tuple[str, float]]:
    """Every number of a nested summary with the keys that lead to it."""
    for key, value in summary.items():
        if isinstance(value, Mapping):
            if key not in _OF_ONE_RUN:
                yield from _numbers(value, f'{place}{key}.')
        elif key not in _OF_ONE_RUN:
            yield f'{place}{key}', float(value)


def _difference(one, other):
    if math.isnan(one) or math.isnan(other):
        return 0.0 if math.isnan(one) and math.isnan(other) else math.inf
    return abs(one - other)
