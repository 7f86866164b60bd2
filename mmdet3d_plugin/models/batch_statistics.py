"""BatchNorm where a batch may hold almost nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def running_statistics(module: nn.Module, active: bool) -> Iterator[None]:
    """Use ``module`` in evaluation mode inside the block when ``active``; gradients still reach its parameters.

    One value per channel has no batch statistics: such a batch is normalised with the running ones.
    """
    training = module.training
    module.train(training and not active)
    try:
        yield
    finally:
        module.train(training)
