"""The one reader of LiDAR files: points as nuScenes stores them, or an error that names the file and what is wrong.

A file has no header, so nothing but its size and its numbers can tell that it is cut or holds something else.
"""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Union

import numpy as np

NUMBERS_PER_POINT = 5  # x, y, z (m, LiDAR frame), intensity (0 to 255), ring
_BYTES_PER_POINT = NUMBERS_PER_POINT * 4
_LAYOUT = 'x, y, z in m, intensity, ring (a whole number)'
# Every 64th point is looked at: a file of another layout is wrong all over, and a lost disk block has 200 points.
_STRIDE = 64
_MAX_DISTANCE = 1000.0  # m; no LiDAR sees that far, and other data read as float32 is rarely below
_MAX_RING = 1023
_TEXT_SHOWN = 24  # characters


class LidarFileError(ValueError):
    """A LiDAR file that cannot be used; the message names it, what was found and what was expected."""


def read_lidar(path: Union[str, Path]) -> np.ndarray:
    """Points of a LiDAR file.

    Args:
        path (str | Path): File of a LiDAR sweep.

    Returns:
        np.ndarray: (N, 5) float32: x, y, z (m, LiDAR frame), intensity, ring; read-only.

    Raises:
        FileNotFoundError: No such file.
        LidarFileError: See :func:`decode_lidar`.
    """
    try:
        with open(path, 'rb') as stream:
            data = stream.read()
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f'LiDAR file {path} does not exist; check data_root and that the LiDAR blobs are unpacked there'
        ) from error
    return decode_lidar(data, path)


def decode_lidar(data: bytes, path: Union[str, Path]) -> np.ndarray:
    """Points of the content of a LiDAR file; see :func:`read_lidar`.

    A file that was cut between two points cannot be told from a whole one by its size. When its rings show that it was,
    there is a warning.

    Args:
        data (bytes): Content of the file.
        path (str | Path): For messages.

    Raises:
        LidarFileError: Empty, cut, of another number of columns, or not points at all.
    """
    if not data or len(data) % _BYTES_PER_POINT:
        raise LidarFileError(_message(data, path, f'{len(data)} bytes'))
    points = np.frombuffer(data, dtype=np.float32).reshape(-1, NUMBERS_PER_POINT)
    problem = _problem_of(points)
    if problem:
        raise LidarFileError(_message(data, path, problem))
    if _cut_between_points(points[:, 4]):
        warnings.warn(
            f'{path}: {len(points)} points, the last of ring {points[-1, 4]:.0f} where each turn ends with ring '
            f'{points[:, 4].max():.0f}: the file seems to be cut, fetch it again',
            RuntimeWarning,
            stacklevel=2,
        )
    return points


def check_lidar_files(infos: Sequence, indices: Sequence, data_root: Union[str, Path]) -> None:
    """Read the keyframe's LiDAR file of some samples, so that a data set in another layout is found before a run.

    Args:
        infos (Sequence[dict]): Infos with paths relative to ``data_root``.
        indices (Sequence[int]): Samples to look at.
        data_root (str | Path): nuScenes data root.

    Raises:
        FileNotFoundError, LidarFileError: See :func:`read_lidar`.
    """
    for index in indices:
        read_lidar(os.path.join(data_root, infos[index]['lidar_path']))


def _problem_of(points):
    """What shows that numbers are no points, in words; None when nothing does."""
    if not np.isfinite(points).all():
        return 'holds values that are not finite'
    sample = points[::_STRIDE]
    if not (np.abs(sample[:, :3]) < _MAX_DISTANCE).all():
        return f'has points further than {_MAX_DISTANCE:.0f} m away'
    ring = sample[:, 4]
    if not ((ring == np.floor(ring)) & (ring >= 0) & (ring <= _MAX_RING)).all():
        return f'the fifth number of a point is not a ring (0 to {_MAX_RING})'
    return None if sample.any() else 'holds zeros only'


def _message(data, path, problem):
    beginning = data[:_TEXT_SHOWN]
    if beginning and all(32 <= byte < 127 or byte in b'\t\r\n' for byte in beginning):
        problem += f'; it is a text and begins with {beginning.decode()!r}'
    way_out = 'Fetch the file again, or, if all your files are like this one, write them in this layout.'
    if _fits_four_numbers(data):
        problem += '; it fits points of four numbers'
        way_out = 'Write a fifth number to each point of your files: the ring or, if it is not known, zero.'
    expected = f'points of five float32 numbers each, {_BYTES_PER_POINT} bytes: {_LAYOUT}'
    return f'LiDAR file {path}: {problem}. Expected {expected}. {way_out}'


def _fits_four_numbers(data):
    """bool: whether the content makes sense as x, y, z, intensity, which is never negative."""
    if not data or len(data) % 16:
        return False
    points = np.frombuffer(data, dtype=np.float32).reshape(-1, 4)
    return bool(points.any() and (np.abs(points) < _MAX_DISTANCE).all() and (points[:, 3] >= 0).all())


def _cut_between_points(ring):
    """bool: whether rings 0, 1, ..., n - 1 follow each other all through the file and its end misses some of them."""
    rings = int(ring.max()) + 1
    if ring[-1] == rings - 1 or len(ring) <= 2 * rings:
        return False
    return bool((ring == np.arange(len(ring)) % rings).all())
