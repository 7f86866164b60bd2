"""Ground truth beside its info file, made once and again when the info file or the tables change."""

from __future__ import annotations

import json
import os
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from dualdistill_runtime.box_arrays import BoxArrays

from ...structures.atomic_file import replace_when_done
from .truth_tables import TRUTH_TABLES, GroundTruth, truth_from_tables

SCHEMA = 'dualdistill-ground-truth/1'


def truth_path(info_path: str | Path) -> Path:
    """The file for an info file: ``nuscenes_infos_val.pkl`` -> ``nuscenes_infos_val.ground_truth.npz``."""
    return Path(info_path).with_suffix('.ground_truth.npz')


def load_truth(
    info_path: str | Path,
    data_root: str,
    version: str,
    gt_names: Callable[[], Mapping[str, Sequence[str]]],
) -> GroundTruth:
    """Ground truth of all samples of an info file, from its file if that is still true.

    Args:
        info_path: Info file.
        data_root: nuScenes data root.
        version: Folder of the tables.
        gt_names: Called only when the file is made: gives sample token -> ``gt_names`` of its info.

    Returns:
        See :func:`truth_tables.truth_from_tables`, also for what it raises. A folder that cannot be written to costs a
        warning, and the time to make it again.
    """
    path, stamp = truth_path(info_path), _stamp(info_path, data_root, version)
    found = _read(path, stamp)
    if found is not None:
        return found
    truth = truth_from_tables(gt_names(), data_root, version)
    try:
        _write(path, stamp, truth)
    except OSError as error:
        warnings.warn(f'{path}: cannot be written ({error.strerror}), so every run reads the tables anew', stacklevel=2)
    return truth


def is_prepared(info_path: str | Path, data_root: str, version: str) -> bool:
    """Whether :func:`load_truth` would find its file and take it."""
    path = truth_path(info_path)
    try:
        with np.load(path) as content:
            return str(content['stamp']) == _stamp(info_path, data_root, version)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return False


def _stamp(info_path, data_root, version):
    """str: Everything the content depends on: schema, and size and time of the info file and the tables."""
    tables = {name: Path(data_root) / version / f'{name}.json' for name in TRUTH_TABLES}
    states = {name: _state(path) for name, path in dict(tables, info=info_path).items()}
    return json.dumps(dict(schema=SCHEMA, version=version, **states))


def _state(path):
    status = os.stat(path)
    return [status.st_size, status.st_mtime_ns]


def _read(path, stamp):
    """GroundTruth | None: None for a file that is not there, of other data, or damaged."""
    try:
        with np.load(path) as content:
            if str(content['stamp']) != stamp:
                return None
            parts = [
                BoxArrays(**{name: content[f'{part}.{name}'] for name in BoxArrays.__dataclass_fields__})
                for part in ('boxes', 'racks')
            ]
            return GroundTruth(content['tokens'].tolist(), *parts)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _write(path, stamp, truth):
    arrays = {f'boxes.{name}': values for name, values in truth.boxes.columns().items()}
    arrays.update({f'racks.{name}': values for name, values in truth.racks.columns().items()})
    with replace_when_done(path) as temporary, open(temporary, 'wb') as stream:
        np.savez(stream, stamp=np.array(stamp), tokens=np.array(truth.tokens), **arrays)
