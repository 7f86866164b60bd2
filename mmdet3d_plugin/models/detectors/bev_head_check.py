"""Build-time check of the sections of a detector's settings: which part goes to its head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def head_settings(sections: Mapping[str, Any] | None, name: str) -> Mapping[str, Any] | None:
    """The head's part of a detector's ``train_cfg`` or ``test_cfg``.

    Args:
        sections: dict(pts=...), as mmdet3d nests them.
        name: 'train_cfg' or 'test_cfg', for the message.

    Returns:
        None for a head without these settings.

    Raises:
        ValueError: a section that nothing reads, or none for the head.
    """
    if not sections:
        return None
    unknown = sorted(set(sections) - {'pts'})
    if unknown:
        raise ValueError(f'{name}: unknown section {unknown[0]!r}, the head reads {name}.pts alone')
    return sections['pts']
