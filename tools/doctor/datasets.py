"""Data sets below ``data/``: which tables, info files and other files there are, and whether this code reads them."""

import json
import os
import re
from pathlib import Path

from .line import Line
from .stamps import read_stamp

_SCHEMA, _OLD_SCHEMA = 'dualdistill-nuscenes/2', 'dualdistill-nuscenes/1'
_DATABASE_SCHEMA = 'dualdistill-gt-database/1'
_GENERATOR = 'synthetic.json'


def look(root: Path) -> list:
    """list[Line]: For each data set a line on itself, then one for each of its files.

    Args:
        root: The repository.
    """
    folders = [path for path in sorted((root / 'data').glob('*')) if path.is_dir() and _is_data_set(path)]
    return [line for folder in folders for line in _data_set(folder, f'data/{folder.name}')]


def _is_data_set(folder):
    return any(folder.glob('v*/sample.json')) or any(folder.glob('*_infos_*.pkl')) or (folder / 'samples').is_dir()


def _data_set(folder, name):
    versions = {path.parent.name: _scenes(path.parent) for path in sorted(folder.glob('*/sample.json'))}
    origin = 'generated' if (folder / _GENERATOR).is_file() else 'real'
    tables = ', '.join(f'{version} ({scenes} scenes)' for version, scenes in versions.items())
    extras = {'CAN bus': _count(folder / 'can_bus', '_pose.json'), 'virtual points': _count_virtual(folder)}
    more = ', '.join(f'{what}: {number} files' for what, number in extras.items() if number)
    facts = dict(origin=origin, versions=versions, can_bus=extras['CAN bus'], virtual_points=extras['virtual points'])
    text = f'{origin}, {tables or "no tables"}' + (f'; {more}' if more else '')
    first = Line(name, 'ok' if versions else 'note', text, dict(kind='data set', **facts))
    infos = [_info_file(path, f'{name}/{path.name}') for path in sorted(folder.glob('*_infos_*.pkl'))]
    bases = [_database(path, f'{name}/{path.name}') for path in sorted(folder.glob('*_dbinfos_*.pkl'))]
    return [first, *infos, *bases]


def _scenes(folder):
    """int: Scenes in the tables of a version; 0 when they cannot be read."""
    try:
        return len(json.loads((folder / 'scene.json').read_text()))
    except (OSError, ValueError, TypeError):
        return 0


def _count(folder, ending=''):
    """int: Files of a folder, 0 without it."""
    try:
        with os.scandir(folder) as entries:
            return sum(entry.name.endswith(ending) for entry in entries)
    except OSError:
        return 0


def _count_virtual(folder):
    return sum(_count(folder / part / 'LIDAR_TOP_VIRTUAL', '.pkl.npy') for part in ('samples', 'sweeps'))


def _info_file(path, name):
    """What an info file says of itself, and the command that makes it anew where this code does not read it."""
    kind = '4d' if '_4d' in path.name else 'base'
    split = re.search(r'_infos_(train|val|test)', path.name)
    facts = dict(kind='info file', content=kind, split=split and split[1], megabytes=round(_size(path) / 1e6, 1))
    remedy = f'make it anew with {command_for(path, kind)}'
    try:
        stamp = read_stamp(path)
    except (OSError, ValueError) as error:
        return Line(name, 'wrong', f'{error}: {remedy}', facts)
    schema = stamp.get('schema')
    facts.update(schema=schema, content=stamp.get('kind', kind), version=stamp.get('version'))
    about = f'{facts["content"]} infos of {stamp.get("version")}, {facts["megabytes"]} MB, schema {schema}'
    if schema == _SCHEMA:
        return Line(name, 'ok', about, facts)
    if schema == _OLD_SCHEMA:
        return Line(name, 'note', f'{about}, which is still read: to be rid of the conversion, {remedy}', facts)
    found = f'has schema {schema}' if schema else "has no schema, so it is another tool's"
    return Line(name, 'wrong', f'{found}, {_SCHEMA} is read here: {remedy}', facts)


def _database(path, name):
    """What a ground-truth database says of itself, and whether its points are there."""
    virtual = '_virtual' in path.name
    facts = dict(kind='database', virtual_points=virtual)
    remedy = f'make it anew with {command_for(path, "base")} {"--virtual" if virtual else "--gt-database"}'
    try:
        stamp = read_stamp(path)
    except (OSError, ValueError) as error:
        return Line(name, 'wrong', f'{error}: {remedy}', facts)
    facts.update(schema=stamp.get('schema'), sweeps=stamp.get('num_sweeps'))
    if stamp.get('schema') != _DATABASE_SCHEMA:
        return Line(name, 'wrong', f'not of schema {_DATABASE_SCHEMA}: {remedy}', facts)
    points = path.with_name(str(stamp.get('points_file')))
    if _size(points) != stamp.get('points_bytes'):
        return Line(name, 'wrong', f'its points {points.name} are missing, cut or of another one: {remedy}', facts)
    kind = 'with virtual points' if virtual else 'without virtual points'
    text = f'objects {kind}, {stamp.get("num_sweeps")} sweeps, {_size(points) / 1e6:.1f} MB of points'
    return Line(name, 'ok', text, facts)


def _size(path):
    """int: Bytes, -1 without such a file."""
    try:
        return path.stat().st_size
    except OSError:
        return -1


def command_for(path: Path, kind: str) -> str:
    """The command that makes an info file, or those that a database is made with.

    Args:
        path: ``<data root>/<tag>_infos_<split>.pkl`` or the like.
        kind: 'base' or '4d'.
    """
    folder, tag = f'data/{path.parent.name}', re.split(r'_(?:db)?infos_', path.name)[0]
    versions = sorted(table.parent.name for table in path.parent.glob('*/sample.json'))
    version = f' --version {versions[0]}' if len(versions) == 1 else ''
    tool = {'4d': 'data_converter/prepare_nuscenes_for_bevdet4d.py', 'base': 'create_data.py nuscenes'}[kind]
    return f'python tools/{tool} --root-path {folder} --extra-tag {tag}{version}'
