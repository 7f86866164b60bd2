"""Reading and writing info files with a stamp that says which schema and which box convention they hold."""

import os
import pickle
from pathlib import Path

from ...structures.atomic_file import replace_when_done
from ..packed_infos import PackedInfos
from .info_columns import NEEDED_KEYS
from .info_file import open_info_file, write_info_file
from .old_schema import OLD_SCHEMA, problem_with_old, upgrade

SCHEMA = 'dualdistill-nuscenes/2'
# A 4-D info is a base info with `prev`, the camera frames before the keyframe; an unlabelled info is a 4-D info of a
# sweep between keyframes, without boxes.
KINDS = ('base', '4d', 'unlabelled')
# (x, y, z, l, w, h, yaw): gravity centre in the LIDAR_TOP frame, metres; yaw in rad, counter-clockwise from the x axis.
BOX_CONVENTION = 'lidar-xyzlwh-yaw-ccw'


class InfoFileError(ValueError):
    """An info file that this code must not read; the message names the file, what was found and the way out."""


def info_filename(tag, split, kind='base', interval=3, max_prev=60, per_interval=1):
    """Name of an info file, e.g. ``nuscenes_infos_train_4d_interval3_max60.pkl``."""
    suffixes = {'base': '', '4d': f'_4d_interval{interval}_max{max_prev}', 'unlabelled': f'_unlabelled{per_interval}'}
    return f'{tag}_infos_{split}{suffixes[kind]}.pkl'


def command_for(path, kind='base', version=None):
    """Command line that writes ``path`` as an info file of ``kind``, guessed from its folder and name.

    ``version`` is the nuScenes version if known; else that of the tables in the folder, v1.0-trainval without any.
    """
    path = Path(path)
    folder = path.parent.as_posix()
    tag = path.name.split('_infos_')[0] if '_infos_' in path.name else 'nuscenes'
    version = version or _version_in(path.parent, '_infos_test' in path.name)
    where = f'--root-path {folder} --out-dir {folder} --extra-tag {tag} --version {version}'
    if kind == '4d':
        return f'python tools/data_converter/prepare_nuscenes_for_bevdet4d.py {where}'
    if kind == 'unlabelled':
        where += f' --unlabelled-sweeps {path.stem.rpartition("_unlabelled")[2] or 1}'
    return f'python tools/create_data.py nuscenes {where}'


def _version_in(folder, test):
    candidates = ('v1.0-test',) if test else ('v1.0-trainval', 'v1.0-mini')
    own = sorted(path.parent.name for path in folder.glob('*/sample.json'))
    return next((version for version in (*candidates, *own) if (folder / version).is_dir()), candidates[0])


def save_infos(path, infos, version, split, kind='base', interval=None, max_prev=None, origin=None):
    """Write an info file atomically, stamped with schema, box convention, kind and the cameras of its infos.

    Args:
        path (str | Path): File to write.
        infos (Sequence[dict]): One dict per sample, see ``docs/data.md``.
        version (str): nuScenes version the infos come from, e.g. ``v1.0-mini``.
        split (str): ``train``, ``val`` or ``test``.
        kind (str): ``base``, ``4d`` or ``unlabelled``.
        interval (int, optional): Step between two entries of ``prev``, in camera sweeps (not of base infos).
        max_prev (int, optional): Furthest entry of ``prev``, in camera sweeps (not of base infos).
        origin (dict, optional): How the infos were chosen and named, for people who read the file later: ``scenes``
            (names), ``split_source`` (``official`` or a file), ``class_map`` (category -> detection class).
    """
    metadata = dict(
        version=version,
        split=split,
        schema=SCHEMA,
        box_convention=BOX_CONVENTION,
        kind=kind,
        interval=interval,
        max_prev=max_prev,
        cameras=list(infos[0].get('cams', ())) if infos else [],
        origin=dict(origin or {}),
    )
    with replace_when_done(path) as temporary, open(temporary, 'wb') as stream:
        write_info_file(stream, PackedInfos.of(infos), metadata)


def pack_info_file(path):
    """Write an info file anew with an index, under its name, when it has none.

    Args:
        path (str | Path): File to read and replace.

    Returns:
        bool: Whether it was written; False for a file that has an index.

    Raises:
        FileNotFoundError, InfoFileError: See :func:`load_infos`.
    """
    data = load_infos(path)
    if isinstance(data['infos'], PackedInfos):
        return False
    kept = {key: data['metadata'].get(key) for key in ('version', 'split', 'kind', 'interval', 'max_prev', 'origin')}
    save_infos(path, data['infos'], **kept)
    return True


def load_infos(path, kind=None):
    """Read an info file, refusing any that is not stamped as this code expects.

    Infos are taken out of the file one by one, on access. A file without an index (``info_file.py``) is loaded whole;
    one of the schema before is too, and comes out in the present form (``old_schema.py``).

    Args:
        path (str | Path): File to read.
        kind (str, optional): ``base``, ``4d`` or ``unlabelled`` when only that kind will do; None accepts all.

    Returns:
        dict: ``infos`` (Sequence[dict]) and ``metadata`` (dict).

    Raises:
        FileNotFoundError: No such file; the message has the command that makes it.
        InfoFileError: Not an info file, or one of another schema, box convention or kind.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f'no info file {path}. {_make_it_with(path, kind)}')
    try:
        data = open_info_file(path) or _load_pickle(path)
    except OSError:
        raise
    except Exception as error:  # a damaged pickle raises almost anything
        raise InfoFileError(f'{path}: cannot be unpickled ({error}). {_make_it_with(path, kind)}') from error
    problem = _problem_with(data, kind)
    if problem:
        version = data['metadata'].get('version') if _has_metadata(data) else None
        raise InfoFileError(f'{path}: {problem}. {_make_it_with(path, kind, version)}')
    return upgrade(data, SCHEMA) if data['metadata']['schema'] == OLD_SCHEMA else data


def need_columns(path, infos):
    """InfoColumns: Columns of packed infos; InfoFileError when the infos of the file lack what a data set needs."""
    if infos.columns is None:
        raise InfoFileError(
            f'{path}: some infos lack one of the keys {", ".join(NEEDED_KEYS)}. {_make_it_with(path, None)}'
        )
    return infos.columns


def _load_pickle(path):
    with open(path, 'rb') as stream:
        return pickle.load(stream)


def _has_metadata(data):
    return isinstance(data, dict) and isinstance(data.get('metadata'), dict)


def _make_it_with(path, kind, version=None):
    """The way out, for error messages. Without a wanted kind, the file's name tells."""
    wanted = kind or next((known for known in KINDS[1:] if f'_{known}' in Path(path).name), 'base')
    return f'Make it with: {command_for(path, wanted, version)}'


def _problem_with(data, kind):
    """What is wrong with the content of an info file, in words; None when nothing is."""
    if not _has_metadata(data) or 'infos' not in data:
        content = f'keys {sorted(map(str, data))}' if isinstance(data, dict) else f'a {type(data).__name__}'
        return f'expected a dict with `infos` and `metadata`, found {content} (written by another tool?)'
    metadata = data['metadata']
    if 'schema' not in metadata and any('can_bus' in info for info in data['infos'][:1]):
        return (
            "these are infos of BEVFormer's own code (nuscenes_infos_temporal_*.pkl), with boxes of mmdet3d before "
            '1.0; here BEVFormer takes the ordinary info files, nuscenes_infos_*.pkl'
        )
    for key, wanted in (('schema', (SCHEMA, OLD_SCHEMA)), ('box_convention', (BOX_CONVENTION,))):
        if metadata.get(key) not in wanted:
            found = repr(metadata[key]) if key in metadata else 'none (written by another tool?)'
            return f'expected {key} {wanted[0]!r}, found {found}'
    found = metadata.get('kind')
    if found not in KINDS or (kind is not None and found != kind):
        return f'expected infos of kind {kind or " or ".join(KINDS)!r}, found {found!r}'
    return problem_with_old(data) if metadata['schema'] == OLD_SCHEMA else None
