"""Parts of a network in evaluation mode for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(*modules: nn.Module, active: bool = True) -> Iterator[None]:
    """Evaluation mode inside the block; afterwards every part is in the mode it was in.

    Gradients still reach the parameters.

    Args:
        modules: with all that is in them.
        active: False leaves them as they are.
    """
    modes = [(part, part.training) for module in modules for part in module.modules()] if active else []
    for part, _ in modes:
        part.training = False
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training
