"""Some columns of a nuScenes table, read without a dict for every row."""

from __future__ import annotations

import json
from array import array
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def read_columns(
    path: str | Path, texts: Sequence[str] = (), numbers: Sequence[str] = (), others: Sequence[str] = ()
) -> dict[str, list | np.ndarray]:
    """Read columns of a table.

    Args:
        path: ``<table>.json``.
        texts: Fields of one string. Equal strings share their memory, as a token in several columns does.
        numbers: Fields of one number, or of a list of numbers that is as long in every row.
        others: Fields of anything else.

    Returns:
        Name -> list of strings or of other values, or float64 array (rows,) or (rows, length).

    Raises:
        ValueError: The file is no table, or a row lacks a field.
    """
    columns = {name: [] for name in (*texts, *others)} | {name: array('d') for name in numbers}
    shared, rows = {}, 0

    def keep(record):
        nonlocal rows
        rows += 1
        for name in texts:
            text = record[name]
            columns[name].append(shared.setdefault(text, text))
        for name in numbers:
            value = record[name]
            columns[name].extend(value) if isinstance(value, list) else columns[name].append(value)
        for name in others:
            columns[name].append(record[name])

    try:
        with open(path, encoding='utf-8') as stream:
            json.load(stream, object_hook=keep)
    except KeyError as error:
        raise ValueError(f'{path}: a row has no field {error}: unpack it again') from error
    except (ValueError, TypeError) as error:
        raise ValueError(f'{path}: {Path(path).name} is damaged ({error}): unpack it again') from error
    arrays = {name: np.asarray(columns[name]) for name in numbers}
    if any(len(values) % max(rows, 1) for values in arrays.values()):
        raise ValueError(f'{path}: rows differ in how many numbers a field has: unpack it again')
    shaped = {name: v if len(v) == rows else v.reshape(rows, -1) for name, v in arrays.items()}
    return {**columns, **shaped}
