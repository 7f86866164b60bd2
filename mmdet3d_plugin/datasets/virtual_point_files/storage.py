"""Files with the painted and virtual points of one LiDAR sweep: where they are, reading and writing them.

The layout is that of the files published with "Multimodal Virtual Point 3D Detection" (arXiv 2111.06881):
``<sweep folder>_VIRTUAL/<sweep file>.pkl.npy``. Theirs hold a pickled dict, ours are plain npz archives (readable by
``np.load`` without pickle) under the same name; :func:`read_virtual_file` reads both and runs no code from either.
"""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dualdistill_runtime.detection_classes import DETECTION_CLASSES

from ...structures.atomic_file import replace_when_done
from .safe_pickle import UnsafePickleError, load_object_array

FORMAT = 'dualdistill-virtual/1'
NUM_CLASSES = len(DETECTION_CLASSES)
REAL_COLUMNS = 4 + NUM_CLASSES + 1  # x, y, z, reflectance, one-hot class, score
VIRTUAL_COLUMNS = 3 + NUM_CLASSES + 1  # x, y, z, one-hot class, score
# Order of the one-hot columns in the published files: the categories of the nuImages detector that made their masks.
PUBLISHED_CLASSES = (
    *('car', 'truck', 'trailer', 'bus', 'construction_vehicle'),
    *('bicycle', 'motorcycle', 'pedestrian', 'traffic_cone', 'barrier'),
)


class VirtualFileError(ValueError):
    """A file of virtual points that cannot be used; the message names the file and what is wrong with it."""


@dataclass(frozen=True)
class VirtualPoints:
    """Painted and virtual points of one LiDAR sweep, in the LiDAR frame of that sweep, metres.

    Attributes:
        real_points (np.ndarray): (M, 15) float32, points of the sweep that lie in an instance mask: x, y, z,
            reflectance (0 to 255), one-hot class in the order of ``DETECTION_CLASSES``, score (0 to 1) of the mask.
            In published files a point seen by two cameras may have two classes.
        virtual_points (np.ndarray): (K, 14) float32: x, y, z, one-hot class, score.
        fingerprint (str): Digest of everything the points were made from; empty for published files.
    """

    real_points: np.ndarray
    virtual_points: np.ndarray
    fingerprint: str = ''


def virtual_path(sweep_path):
    """Path of a sweep's virtual points: ``a/LIDAR_TOP/x.bin`` -> ``a/LIDAR_TOP_VIRTUAL/x.bin.pkl.npy``.

    Args:
        sweep_path (str | Path): LiDAR file, absolute or relative.

    Returns:
        Path: Absolute or relative like ``sweep_path``.

    Raises:
        ValueError: ``sweep_path`` names no folder.
    """
    path = Path(sweep_path)
    if not path.parent.name:
        raise ValueError(f'{sweep_path}: expected <folder>/<sweep file>')
    return path.parent.with_name(f'{path.parent.name}_VIRTUAL') / f'{path.name}.pkl.npy'


def write_virtual_file(path, points):
    """Write a file of virtual points; it appears under its name only when complete.

    Args:
        path (str | Path): See :func:`virtual_path`. Missing folders are made.
        points (VirtualPoints): What to write.

    Raises:
        VirtualFileError: ``points`` have a wrong shape or values out of range.
    """
    _check_points(path, points)
    meta = dict(format=FORMAT, class_names=DETECTION_CLASSES, fingerprint=points.fingerprint)
    with replace_when_done(path) as temporary, open(temporary, 'wb') as stream:
        np.savez_compressed(
            stream,
            real_points=points.real_points.astype(np.float32, copy=False),
            virtual_points=points.virtual_points.astype(np.float32, copy=False),
            meta=np.array(json.dumps(meta)),
        )


def read_virtual_file(path):
    """Read a file of virtual points, ours or a published one.

    Args:
        path (str | Path): See :func:`virtual_path`.

    Returns:
        VirtualPoints: One-hot columns in the order of ``DETECTION_CLASSES``, whatever the order in the file.

    Raises:
        FileNotFoundError: No such file.
        VirtualFileError: Damaged, of another kind, or with content out of range.
    """
    content = _read_content(Path(path))
    arrays = {}
    for key, columns in (('real_points', REAL_COLUMNS), ('virtual_points', VIRTUAL_COLUMNS)):
        if not isinstance(content.get(key), np.ndarray):
            raise VirtualFileError(f'{path}: expected arrays real_points and virtual_points, found {sorted(content)}')
        arrays[key] = _with_own_classes(path, key, content[key], columns, content['class_names'])
    points = VirtualPoints(fingerprint=str(content.get('fingerprint', '')), **arrays)
    _check_points(path, points)
    return points


def _read_content(path):
    """dict: Arrays of the file and its ``class_names``, of ours also the ``fingerprint``."""
    try:
        with open(path, 'rb') as stream:
            if not zipfile.is_zipfile(stream):
                stream.seek(0)
                content = load_object_array(stream)
                if not isinstance(content, dict):
                    raise VirtualFileError(f'{path}: expected a dict of arrays, found a {type(content).__name__}')
                return {**content, 'class_names': PUBLISHED_CLASSES}
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as archive:
                content = {key: archive[key] for key in archive.files}
    except UnsafePickleError as error:
        raise VirtualFileError(f'{path}: refused, {error}') from error
    except (ValueError, EOFError, KeyError, OSError, zipfile.BadZipFile) as error:
        if isinstance(error, (FileNotFoundError, PermissionError, VirtualFileError)):
            raise
        raise VirtualFileError(f'{path}: damaged or not a file of virtual points ({error})') from error
    return {**content, **_read_meta(path, content)}


def _read_meta(path, content):
    """dict: ``class_names`` (tuple) and ``fingerprint`` of a file of ours."""
    try:
        meta = json.loads(str(content['meta']))
        found, class_names = meta['format'], tuple(meta['class_names'])
    except (KeyError, TypeError, ValueError):
        found, class_names = None, ()
    if found != FORMAT:
        raise VirtualFileError(f'{path}: expected meta data of format {FORMAT!r}, found {found!r}; make the file again')
    return dict(class_names=class_names, fingerprint=meta['fingerprint'])


def _with_own_classes(path, key, array, columns, class_names):
    """(N, columns) float32 with the one-hot columns in the order of ``DETECTION_CLASSES``."""
    if array.ndim != 2 or array.shape[1] != columns or array.dtype.kind != 'f':
        raise VirtualFileError(f'{path}: {key} must be (N, {columns}) float, found {array.shape} {array.dtype}')
    if sorted(class_names) != sorted(DETECTION_CLASSES):
        raise VirtualFileError(f'{path}: expected the classes {DETECTION_CLASSES}, found {class_names}')
    first = columns - NUM_CLASSES - 1
    labels = [first + class_names.index(name) for name in DETECTION_CLASSES]
    order = [*range(first), *labels, columns - 1]
    if order == list(range(columns)):
        return array.astype(np.float32, copy=False)
    return np.ascontiguousarray(array[:, order], dtype=np.float32)


def _check_points(path, points):
    """Raise on shapes or values that no consumer can use."""
    for key, columns in (('real_points', REAL_COLUMNS), ('virtual_points', VIRTUAL_COLUMNS)):
        array = getattr(points, key)
        if array.ndim != 2 or array.shape[1] != columns:
            raise VirtualFileError(f'{path}: {key} must be (N, {columns}), found {array.shape}')
        if not np.isfinite(array).all():
            raise VirtualFileError(f'{path}: {key} holds values that are not finite')
        labels, score = array[:, -NUM_CLASSES - 1 : -1], array[:, -1]
        if not ((labels == 0) | (labels == 1)).all() or (labels.sum(axis=1) < 1).any():
            raise VirtualFileError(f'{path}: {key} has rows whose class columns are not one-hot')
        if ((score < 0) | (score > 1)).any():
            raise VirtualFileError(f'{path}: {key} has scores outside 0 to 1')
