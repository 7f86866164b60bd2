"""The cloud of one sweep in the layout of the MVP teacher, see ``structures/virtual_points.py``."""

import functools
import warnings

import numpy as np

from ...structures.virtual_points import FLAG_COLUMN, LABEL_COLUMNS, PAINTED, POINT_COLUMNS, RAW, VIRTUAL
from .storage import read_virtual_file, virtual_path


def join_points(raw, virtual=None):
    """Raw, painted and virtual points of one sweep, one below the other.

    A real point inside an instance mask is there twice, as the published teacher has it: raw, and painted with the
    class and score of its mask.

    Args:
        raw (np.ndarray): (N, 4 or more) float32, all points of the sweep: x, y, z, reflectance.
        virtual (VirtualPoints, optional): Its painted and virtual points; None for a sweep that has no file of them.

    Returns:
        np.ndarray: (N + M + K, 17) float32 in the sweep's own LiDAR frame, dt 0.
    """
    parts = [_part(raw[:, :4], np.ones((len(raw), LABEL_COLUMNS)), RAW)]
    if virtual is not None:
        parts.append(_part(virtual.real_points[:, :4], virtual.real_points[:, 4:], PAINTED))
        xyz, labels = virtual.virtual_points[:, :3], virtual.virtual_points[:, 3:]
        parts.append(_part(np.pad(xyz, ((0, 0), (0, 1)), constant_values=-1), labels, VIRTUAL))
    return np.concatenate(parts)


def _part(xyzr, labels, flag):
    """(N, 17) float32 points of one kind."""
    points = np.zeros((len(xyzr), POINT_COLUMNS), dtype=np.float32)
    points[:, :4], points[:, 4:FLAG_COLUMN], points[:, FLAG_COLUMN] = xyzr, labels, flag
    return points


def add_virtual_points(raw, sweep_path):
    """A sweep with the virtual points that lie beside it; without their file it stays real-only.

    The first file missing in a folder is warned of; ``NuScenesBEVDataset.check_files`` counts them all before a run.

    Args:
        raw (np.ndarray): (N, 4 or more) float32, points of the LiDAR file.
        sweep_path (str): The LiDAR file.

    Returns:
        np.ndarray: (N + M + K, 17) float32, see :func:`join_points`.

    Raises:
        VirtualFileError: The file of virtual points is damaged.
    """
    path = virtual_path(sweep_path)
    try:
        virtual = read_virtual_file(path)
    except FileNotFoundError:
        _warn_of_missing(path.parent)
        virtual = None
    return join_points(raw, virtual)


@functools.cache
def _warn_of_missing(folder):
    warnings.warn(
        f'{folder}: virtual points of some sweeps are missing; these sweeps stay real-only',
        RuntimeWarning,
        stacklevel=4,
    )
