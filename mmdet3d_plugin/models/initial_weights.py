"""How a model gets its initial weights, and how much of it is logged."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from mmcv.runner import BaseModule
from mmcv.utils.logging import logger_initialized
from mmdet3d.utils import get_root_logger
from torch import nn


def initialise(model: nn.Module, *, verbose: bool = False) -> None:
    """Call ``init_weights`` of a model, without a word about each of its parameters unless you ask for it.

    mmcv gives three lines to each parameter, 1,200 for a full-size distilled student, in which everything else drowns.

    Args:
        model: detector or distiller.
        verbose: log one line for each parameter: its name, its shape and what its first values come from.
    """
    whole = _Whole(model, verbose)
    with contextlib.nullcontext() if verbose else _announcements_held_back():
        whole.init_weights()


class _Whole(BaseModule):
    """What holds the model while it is initialised: mmcv lets the outermost module tell of all parameters."""

    def __init__(self, model, verbose):
        super().__init__()
        self.model, self._verbose = model, verbose

    def _dump_init_info(self, logger_name):
        if not self._verbose:
            return
        lines = []
        for name, parameter in self.model.named_parameters():
            origin = ' '.join(self._params_init_info[parameter]['init_info'].split())
            origin = origin.replace(type(self).__name__, type(self.model).__name__)
            lines.append(f'  {name} {tuple(parameter.shape)}: {origin}')
        get_root_logger().info('\n'.join([f'initial weights of {type(self.model).__name__}:', *lines]))


@contextlib.contextmanager
def _announcements_held_back() -> Iterator[None]:
    """Hold back mmcv's ``initialize ResNet with init_cfg ...``; it speaks through the logger that was made first."""
    logger = logging.getLogger(next(iter(logger_initialized), 'mmcv'))
    logger.addFilter(_is_no_announcement)
    try:
        yield
    finally:
        logger.removeFilter(_is_no_announcement)


def _is_no_announcement(record):
    return not (record.levelno < logging.WARNING and str(record.msg).startswith('initialize '))
