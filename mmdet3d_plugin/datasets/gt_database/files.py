"""The two files of a ground-truth database: what objects there are, and their points.

``<tag>_dbinfos_<split>.pkl`` holds a stamp and, class by class, arrays over the objects; beside it,
``<tag>_gt_database_<split>.bin`` holds all points back to back, float32. Two files instead of one per object: nuScenes
has almost a million objects. Databases with virtual points have ``_virtual`` before the extension.
"""

import os
import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...structures.atomic_file import replace_when_done
from ...structures.virtual_points import POINT_COLUMNS
from ..infos.info_io import BOX_CONVENTION, InfoFileError, command_for
from ..lidar_file import NUMBERS_PER_POINT

SCHEMA = 'dualdistill-gt-database/1'
NUM_SWEEPS = 10  # of the published teachers, the keyframe included


@dataclass(frozen=True)
class ObjectClass:
    """The objects of one class, in the order of the info file they come from.

    Attributes:
        boxes (np.ndarray): (N, 9) float32, gravity centre, l, w, h, yaw, absolute vx, vy (NaN where unknown), in the
            LiDAR frame of the object's keyframe.
        start, count (np.ndarray): (N,) int64, the object's first point in the points file and its number of points.
    """

    boxes: np.ndarray
    start: np.ndarray
    count: np.ndarray


def columns_of(virtual_points):
    """Numbers per point: x, y, z, reflectance, dt, or the layout of ``structures/virtual_points.py``."""
    return POINT_COLUMNS if virtual_points else NUMBERS_PER_POINT


def database_filenames(tag, split, virtual_points=False):
    """tuple[str, str]: Names of the infos and of the points of a database."""
    suffix = '_virtual' if virtual_points else ''
    return f'{tag}_dbinfos_{split}{suffix}.pkl', f'{tag}_gt_database_{split}{suffix}.bin'


def save_database_infos(path, objects, points_file, version, split, num_sweeps, virtual_points):
    """Write the infos of a database atomically; the points file must be complete.

    Args:
        path (str | Path): File to write.
        objects (dict[str, ObjectClass]): Class name -> objects.
        points_file (str): Name of the points file in the same folder.
        version, split (str): Of the info file that the objects come from.
        num_sweeps (int): Sweeps in the objects' points, the keyframe included.
        virtual_points (bool): Points of 17 numbers.
    """
    metadata = dict(
        schema=SCHEMA,
        box_convention=BOX_CONVENTION,
        version=version,
        split=split,
        num_sweeps=num_sweeps,
        virtual_points=virtual_points,
        points_file=points_file,
        points_bytes=os.path.getsize(Path(path).with_name(points_file)),
    )
    content = {name: vars(entry) for name, entry in objects.items()}
    with replace_when_done(path) as temporary, open(temporary, 'wb') as stream:
        pickle.dump(dict(objects=content, metadata=metadata), stream, protocol=4)


def load_database_infos(path, num_sweeps, virtual_points):
    """Read the infos of a database, refusing one that does not fit the pipeline.

    Args:
        path (str | Path): File to read.
        num_sweeps (int): Sweeps that the pipeline merges, the keyframe included.
        virtual_points (bool): Whether the pipeline's points are those with virtual ones.

    Returns:
        tuple[dict[str, ObjectClass], Path]: Class name -> objects, and the points file.

    Raises:
        FileNotFoundError: No such file, or no points file; the message has the command that makes both.
        InfoFileError: Not a database, of another schema or kind, or one whose points file is another one's.
    """
    path = Path(path)
    way_out = f'Make it with: {_command(path, num_sweeps, virtual_points)}'
    if not path.is_file():
        raise FileNotFoundError(
            f'no ground-truth database {path}. {way_out} (or train without ground-truth sampling: a child config that '
            f'calls lidar_pipelines without gt_sampling)'
        )
    data = path.read_bytes()
    try:
        content = pickle.loads(data)
    except Exception as error:  # a damaged pickle raises almost anything
        raise InfoFileError(f'{path}: cannot be unpickled ({error}). {way_out}') from error
    metadata = content.get('metadata') if isinstance(content, dict) else None
    if not isinstance(metadata, dict) or 'objects' not in content:
        raise InfoFileError(f'{path}: not a ground-truth database of this project (by another tool?). {way_out}')
    expected = dict(schema=SCHEMA, box_convention=BOX_CONVENTION, num_sweeps=num_sweeps, virtual_points=virtual_points)
    for key, value in expected.items():
        if metadata.get(key) != value:
            raise InfoFileError(f'{path}: expected {key} {value!r}, found {metadata.get(key)!r}. {way_out}')
    points = path.with_name(metadata['points_file'])
    if not points.is_file():
        raise FileNotFoundError(f'{path}: its points file {points} is missing. {way_out}')
    if points.stat().st_size != metadata['points_bytes']:
        raise InfoFileError(
            f'{path}: {points} has {points.stat().st_size} bytes, expected {metadata["points_bytes"]}. {way_out}'
        )
    return {name: ObjectClass(**entry) for name, entry in content['objects'].items()}, points


def _command(path, num_sweeps, virtual_points):
    """Command line that writes the database ``path``."""
    tag = path.name.split('_dbinfos_')[0] if '_dbinfos_' in path.name else 'nuscenes'
    infos = path.with_name(f'{tag}_infos_train.pkl')
    sweeps = '' if num_sweeps == NUM_SWEEPS else f' --num-sweeps {num_sweeps}'
    return f'{command_for(infos)} {"--virtual" if virtual_points else "--gt-database"}{sweeps}'
