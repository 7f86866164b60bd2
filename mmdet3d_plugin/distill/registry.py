"""The registry of aligners, feature losses and response losses, and how one of them is built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from mmcv.utils import Registry
from torch import nn

DISTILL = Registry('distill')

Part = TypeVar('Part', bound=nn.Module)


def build_part(cfg: Mapping[str, Any], kind: type[Part], where: str, **given: Any) -> Part:
    """Build one part of a distiller.

    Args:
        cfg: ``type`` and the part's own options.
        kind: base class that the part must have.
        where: place in the config, for messages.
        given: arguments that come from the detectors and not from the config.

    Raises:
        ValueError: the config names something in ``given``.
        TypeError: the type is registered, but derives from another base class.
    """
    clash = sorted(set(given) & set(cfg))
    if clash:
        raise ValueError(f'{cfg["type"]}: {clash} come from the detectors, remove them from {where}')
    registered = DISTILL.get(cfg['type']) if isinstance(cfg['type'], str) else cfg['type']
    if registered is not None and not issubclass(registered, kind):
        raise TypeError(
            f'{where}: {cfg["type"]} is no {kind.__name__}: derive it from mmdet3d_plugin.distill.{kind.__name__}'
        )
    return DISTILL.build(dict(cfg), default_args=given)
