"""Which samples of a batch have labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

KEY = 'labelled'  # of a sample's ``img_metas``; a sample without it is labelled


def labelled_samples(metas: Sequence[Mapping[str, Any]]) -> list[int]:
    """Indices of the labelled samples of a batch.

    Boxes and labels of the others say nothing, whatever they hold: nobody may read them.

    Args:
        metas: ``img_metas`` of the batch, one a sample.
    """
    return [index for index, meta in enumerate(metas) if meta.get(KEY, True)]


def unlabelled_samples(metas: Sequence[Mapping[str, Any]]) -> list[int]:
    """Indices of the samples that are not labelled, see :func:`labelled_samples`."""
    return [index for index, meta in enumerate(metas) if not meta.get(KEY, True)]
