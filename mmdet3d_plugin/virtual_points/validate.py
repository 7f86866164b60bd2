"""Checking existing files of virtual points against the sweeps, and the masks, that they belong to."""

from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np

from ..datasets.infos.parallel import iterate_with_tables
from ..datasets.lidar_file import LidarFileError, read_lidar
from ..datasets.virtual_point_files.storage import VirtualFileError, read_virtual_file, virtual_path
from .create import VirtualPointSettings, gather_inputs
from .instance_masks import MaskReader
from .jobs import NO_CAMERAS, NO_LIDAR
from .sweeps import load_sweep
from .tally import Tally

GOOD = 'files in order'
UNKNOWN_AGE = 'of these, not made here: whether they are outdated cannot be told'
MISSING = 'files missing'
DAMAGED = 'files damaged or out of range'
FAR_AWAY = 'files with points out of range'
OTHER_SWEEP = 'files whose painted points are not points of their sweep'
OUTDATED = 'files outdated: sweep, masks, poses or settings changed'
BAD_LIDAR = 'sweeps whose LiDAR file is damaged'
PROBLEMS = (MISSING, DAMAGED, FAR_AWAY, OTHER_SWEEP, OUTDATED, BAD_LIDAR)
REPORT = (GOOD, UNKNOWN_AGE, *PROBLEMS, NO_LIDAR, NO_CAMERAS)


@dataclass(frozen=True)
class ValidationJob:
    """What files are checked against.

    Attributes:
        settings (VirtualPointSettings): Settings the files should have been made with.
        reader (MaskReader): Source of masks; None leaves the check for outdated files out.
        max_range (float): No point may be further than this from the LiDAR, m.
    """

    settings: VirtualPointSettings
    reader: Optional[MaskReader] = None
    max_range: float = 250.0


def validate_files(nusc, tasks, job, workers=1):
    """Check the files of sweeps.

    Args:
        nusc (NuScenes): Tables.
        tasks (list[SweepTask]): Sweeps.
        job (ValidationJob): Against what.
        workers (int): Processes.

    Returns:
        Tally: Counts of the kinds in ``REPORT``; those in ``PROBLEMS`` mean that something is wrong.
    """
    total = Tally()
    for tally in iterate_with_tables(_validate_one, tasks, (nusc, job), workers):
        total.merge(tally)
    return total


def _validate_one(shared, task):
    nusc, job = shared
    tally = Tally()
    sweep = load_sweep(nusc, task)
    lidar = Path(nusc.dataroot) / sweep.path
    path = virtual_path(lidar)
    if not sweep.images or not lidar.is_file():
        tally.add(NO_LIDAR if sweep.images else NO_CAMERAS, sweep.path)
        return tally
    try:
        found = read_virtual_file(path)
    except FileNotFoundError:
        tally.add(MISSING, path)
        return tally
    except VirtualFileError as error:
        tally.add(DAMAGED, error)
        return tally
    try:
        points = read_lidar(lidar)
    except LidarFileError as error:
        tally.add(BAD_LIDAR, error)
        return tally
    problem = _problem(nusc, job, sweep, found, points)
    tally.add(problem or GOOD, path if problem else None)
    if not found.fingerprint and not problem:
        tally.add(UNKNOWN_AGE)
    return tally


def _problem(nusc, job, sweep, found, points):
    """One of ``PROBLEMS``, or None."""
    for array in (found.real_points, found.virtual_points):
        if (np.linalg.norm(array[:, :3], axis=1) > job.max_range).any():
            return FAR_AWAY
    if not _rows_of(found.real_points[:, :4], points[:, :4]).all():
        return OTHER_SWEEP
    if job.reader is not None and found.fingerprint:
        inputs = gather_inputs(sweep, nusc.dataroot, job.reader)
        if inputs.fingerprint(job.settings) != found.fingerprint:
            return OUTDATED
    return None


def _rows_of(rows, table):
    """(n,) bool: Which rows (n, 4) float32 are, bit for bit, rows of ``table`` (N, 4)."""
    whole = np.dtype((np.void, 4 * 4))
    return np.isin(*(np.ascontiguousarray(array, dtype=np.float32).view(whole)[:, 0] for array in (rows, table)))
