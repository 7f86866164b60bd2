"""The files that a sample consists of, and whether they are there."""

import os

import numpy as np
from mmdet3d.utils import get_root_logger

from .virtual_point_files.storage import virtual_path

_RANDOM_SAMPLES = 8
_NAMED_FILES = 5


def check_files(infos, data_root, samples='spot', use_lidar=True, use_camera=True, seed=0):
    """Raise one clear error if files of the samples are missing.

    Args:
        infos (Sequence[dict]): Infos with paths relative to ``data_root``.
        data_root (str): nuScenes data root.
        samples (str): ``spot`` checks the first, the last and eight random samples, ``all`` every one.
        use_lidar (bool): Check the keyframe's points and its sweeps.
        use_camera (bool): Check the keyframe's images and those of previous frames.
        seed (int): Seed of the random choice.

    Raises:
        FileNotFoundError: Names the first files and counts the rest.
        ValueError: Unknown value of ``samples``.
    """
    missing, looked_at = [], set()
    for index in chosen_samples(len(infos), samples, seed):
        new = [path for path in info_paths(infos[index], use_lidar, use_camera) if path not in looked_at]
        looked_at.update(new)
        missing += [path for path in new if not os.path.isfile(os.path.join(data_root, path))]
    if missing:
        names = ', '.join(missing[:_NAMED_FILES])
        more = f' and {len(missing) - _NAMED_FILES} more' if len(missing) > _NAMED_FILES else ''
        raise FileNotFoundError(
            f'{data_root}: {len(missing)} of {len(looked_at)} checked files are missing: {names}{more}. Wrong '
            f'data_root, or files removed since tools/create_data.py ran: put them back or run it again.'
        )


def report_virtual_files(infos, data_root):
    """Count the sweeps without virtual points and log the count; samples use such sweeps with real points only.

    Args:
        infos (Sequence[dict]): Infos with paths relative to ``data_root``, all of them looked at.
        data_root (str): nuScenes data root.

    Returns:
        tuple[int, int]: Sweeps without a file, and all sweeps, keyframes included.

    Raises:
        FileNotFoundError: Not a single sweep has one.
    """
    sweeps = {path for info in infos for path in info_paths(info, use_camera=False)}
    folders = {os.path.dirname(virtual_path(path)) for path in sweeps}
    # a folder is listed once: asking for 300,000 files one by one takes minutes on a network drive
    present = {
        os.path.join(folder, name)
        for folder in folders
        if os.path.isdir(os.path.join(data_root, folder))
        for name in os.listdir(os.path.join(data_root, folder))
    }
    missing = sorted(path for path in sweeps if str(virtual_path(path)) not in present)
    if missing and len(missing) == len(sweeps):
        raise FileNotFoundError(
            f'{data_root}: no virtual points of any of the {len(sweeps)} sweeps (looked for '
            f'{virtual_path(missing[0])}). Make them with: python tools/data_converter/create_virtual_points.py '
            f'--root-path {data_root} --masks <instance masks of the camera images>'
        )
    if missing:
        get_root_logger().warning(
            f'{data_root}: {len(missing)} of {len(sweeps)} sweeps have no virtual points and stay real-only, for '
            f'example {missing[0]}; tools/data_converter/create_virtual_points.py makes what is missing'
        )
    else:
        get_root_logger().info(f'{data_root}: all {len(sweeps)} sweeps have virtual points')
    return len(missing), len(sweeps)


def file_records(info):
    """Dicts of an info that hold a ``data_path``, each object once: neighbouring frames may share an image."""
    frames = [info['cams'], *(frame['cams'] for frame in info.get('prev', []))]
    records = [*info['sweeps'], *(record for cams in frames for record in cams.values())]
    return list({id(record): record for record in records}.values())


def info_paths(info, use_lidar=True, use_camera=True):
    """list[str]: Files of one sample, relative to the data root."""
    lidar = [info['lidar_path'], *(sweep['data_path'] for sweep in info['sweeps'])]
    camera = [record['data_path'] for record in file_records(dict(info, sweeps=[]))]
    return lidar * use_lidar + camera * use_camera


def chosen_samples(length, samples='spot', seed=0):
    """Sequence[int]: Numbers of the samples that a check looks at, see :func:`check_files`."""
    if samples == 'all':
        return range(length)
    if samples == 'spot':
        drawn = np.random.default_rng(seed).integers(length, size=_RANDOM_SAMPLES)
        return sorted({0, length - 1, *map(int, drawn)})
    raise ValueError(f'samples must be spot or all, got {samples!r}')
