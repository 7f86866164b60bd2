"""How the sections of a detector's ``train_cfg`` and ``test_cfg`` reach its head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmdet3d.models.builder import build_head

from ..heads.base import BEVHead


def head_settings(sections: Mapping[str, Any] | None, name: str) -> Mapping[str, Any] | None:
    """The head's part of a detector's ``train_cfg`` or ``test_cfg``.

    Args:
        sections: dict(pts=...), as mmdet3d nests them.
        name: 'train_cfg' or 'test_cfg', for the message.

    Returns:
        None for a head without these settings.

    Raises:
        ValueError: a section that nothing reads.
    """
    if not sections:
        return None
    unknown = sorted(set(sections) - {'pts'})
    if unknown:
        raise ValueError(f'{name}: unknown section {unknown[0]!r}, the head reads {name}.pts alone')
    return sections['pts']


def build_bev_head(
    cfg: Mapping[str, Any], train_cfg: Mapping[str, Any] | None, test_cfg: Mapping[str, Any] | None
) -> BEVHead:
    """A detector's head with the settings that the detector got for it.

    What the detector did not get is not passed on: the head keeps its own, and its class may know no such settings.

    Args:
        cfg: config of the head; not modified.
        train_cfg, test_cfg: the detector's, see :func:`head_settings`.

    Raises:
        ValueError: see :func:`head_settings`.
    """
    given = dict(train_cfg=train_cfg, test_cfg=test_cfg)
    settings = {name: head_settings(sections, name) for name, sections in given.items() if sections}
    return build_head({**cfg, **settings})
