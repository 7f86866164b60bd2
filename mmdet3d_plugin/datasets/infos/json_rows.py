"""The rows of a json table, some megabytes at a time: a table of a gigabyte never becomes objects as a whole."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...garbage_collection import paused
from .parallel import iterate_with_tables

_CHUNK = 8_000_000  # bytes; some 20,000 rows, which take about 30 MB as objects
_WINDOW = 65_536  # bytes that are searched for the border of two rows at once
_BORDER = re.compile(rb'\}(\s*,\s*)\{')


def map_rows(path: Path, function: Callable[[Any, list[dict]], Any], shared: Any, workers: int = 1) -> list:
    """``function(shared, rows)`` for the rows of a table, chunk by chunk.

    Args:
        path: Json file with a list of objects.
        function: Module-level function; worker processes run it and send back what it returns.
        shared: Its first argument, inherited by the workers.
        workers: Processes.

    Returns:
        What it returned, in the order of the file.

    Raises:
        ValueError: The file is no json, or no list of objects.
    """
    spans = _spans(path)
    if len(spans) > 1:
        call = iterate_with_tables(_call_with_span, spans, (path, function, shared), workers, progress=False)
        results = list(call)
        if None not in results:
            return [result for (result,) in results]
    # Small, damaged, or a text looks like the border of two rows: parsed as a whole.
    return [function(shared, read_rows(path))]


def read_rows(path: Path) -> list[dict]:
    """All rows of a table; ValueError unless it is a json list of objects."""
    rows = json.loads(path.read_bytes())
    if not _are_records(rows):
        raise ValueError(f'{path.name} is no list of records')
    return rows


def _spans(path):
    """list[tuple[int, int, bool, bool]]: Begin and end of each chunk, and whether it is the first and the last."""
    size = path.stat().st_size
    borders = []
    with open(path, 'rb') as stream:
        position = _CHUNK
        while position < size:
            border = _next_border(stream, position)
            if border is None:
                break
            borders.append(border)
            position = border[1] + _CHUNK
    begins, ends = [0, *(border[1] for border in borders)], [*(border[0] for border in borders), size]
    return [(b, e, i == 0, i == len(borders)) for i, (b, e) in enumerate(zip(begins, ends))]


def _next_border(stream, position):
    """tuple[int, int] | None: Where the row that ends next ends and where the next one begins."""
    while True:
        stream.seek(position)
        window = stream.read(_WINDOW)
        match = _BORDER.search(window)
        if match:
            return position + match.start(1), position + match.end(1)
        if len(window) < _WINDOW:
            return None
        position += _WINDOW // 2  # a border on the edge of two windows lies inside the next one


def _call_with_span(shared, span):
    """tuple | None: The function's result; None when the span is not whole rows.

    A border inside a text or an inner list leaves a quote or a bracket open, so that both sides are no json.
    """
    path, function, argument = shared
    begin, end, is_first, is_last = span
    with open(path, 'rb') as stream:
        stream.seek(begin)
        text = stream.read(end - begin)
    with paused():  # thousands of new dicts, all of which stay: a third of the time would go into looking for circles
        try:
            rows = json.loads(b'[' * (not is_first) + text + b']' * (not is_last))
        except ValueError:
            return None
        return (function(argument, rows),) if _are_records(rows) else None


def _are_records(rows):
    return isinstance(rows, list) and set(map(type, rows)) <= {dict}
