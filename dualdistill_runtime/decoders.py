"""The decoder of a student's head by what its file says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .center_decode import CenterDecoder
from .query_decode import QueryDecoder

DECODERS = dict(center=CenterDecoder, query=QueryDecoder)


def decoder_of(head: Mapping[str, Any]) -> CenterDecoder | QueryDecoder:
    """Decoder for ``head`` of a student's file."""
    return DECODERS[head['kind']].of(head)
