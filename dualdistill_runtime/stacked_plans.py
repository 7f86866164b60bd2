"""Plans of several moments as one, for a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def stack_plans(plans: Sequence[Any], steps: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Fields of named tuples below each other, by name.

    Args:
        plans: Of the samples of a batch, all of one kind.
        steps: Field -> what its indices grow by from sample to sample; fields that it does not name stay as they are.
    """
    return {
        name: np.concatenate(
            [
                getattr(plan, name) + sample * steps[name] if name in steps else getattr(plan, name)
                for sample, plan in enumerate(plans)
            ]
        )
        for name in plans[0]._fields
    }
