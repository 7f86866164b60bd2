"""The files that an evaluation opens, nuScenes' devkit or the fast one, looked at before the inference.

The devkit finds what is missing only when it loads its tables, and tables of another download when it looks up the
first sample: hours later.
"""

import json
from pathlib import Path

from .truth_tables import TRUTH_TABLES

TABLES = (
    *('category', 'attribute', 'visibility', 'instance', 'sensor', 'calibrated_sensor', 'ego_pose', 'log', 'scene'),
    *('sample', 'sample_data', 'sample_annotation', 'map'),
)
_OPTIONAL = ('lidarseg', 'panoptic', 'image_annotations')  # opened when they are there
_TAIL = 64  # bytes


def check_devkit_files(data_root: str, version: str, sample_tokens, source: str) -> None:
    """Stop with one clear error unless the devkit can score these samples from this data root.

    Large tables are not parsed: a cut one is told by its end.

    Args:
        data_root: nuScenes data root.
        version: folder of the tables, as the info file names it.
        sample_tokens (Iterable[str]): samples to score.
        source: file that the tokens come from, for messages.

    Raises:
        FileNotFoundError: tables, map masks or point labels are missing; names them.
        ValueError: a table is cut, has no annotations, or does not know the samples.
    """
    tables = _check_tables(data_root, version, source, TABLES, _OPTIONAL)
    _check_maps(Path(data_root), tables)
    _check_point_labels(Path(data_root), tables)
    _check_samples(tables, sample_tokens, source)


def check_truth_files(data_root: str, version: str, sample_tokens, source: str) -> None:
    """The same for the fast evaluation, which reads five of the tables and no map.

    Args and errors are those of :func:`check_devkit_files`.
    """
    tables = _check_tables(data_root, version, source, TRUTH_TABLES)
    _check_samples(tables, sample_tokens, source)


def _check_tables(data_root, version, source, names, optional=()):
    """Path: The folder of the tables; those of ``names`` are there, and whole as are ``optional`` ones."""
    tables = Path(data_root) / version
    if not tables.is_dir():
        found = sorted(path.parent.name for path in Path(data_root).glob('*/sample.json'))
        there = f'it has tables of {", ".join(found)}' if found else 'it has no tables at all'
        raise FileNotFoundError(
            f'{tables}: the evaluation needs the tables of {version}, which {source} was made from, but {there}. '
            f'Unpack them there, or set data_root'
        )
    missing = [f'{name}.json' for name in names if not (tables / f'{name}.json').is_file()]
    if missing:
        raise FileNotFoundError(f'{tables}: the evaluation needs {", ".join(missing)}: unpack the tables again')
    for name in (*names, *optional):
        _check_whole(tables / f'{name}.json')
    if _tail(tables / 'sample_annotation.json') == b'[]':
        raise ValueError(
            f'{tables}: no annotations to evaluate against: use --format-only of tools/test.py, which writes the '
            f'submission file'
        )
    return tables


def _tail(path):
    with open(path, 'rb') as stream:
        stream.seek(max(path.stat().st_size - _TAIL, 0))
        return stream.read().strip()


def _check_whole(path):
    if path.is_file() and not _tail(path).endswith(b']'):
        raise ValueError(f'{path}: cut or damaged, it does not end like a table: unpack it again')


def _check_maps(data_root, tables):
    files = [record['filename'] for record in _read(tables / 'map.json')]
    missing = [name for name in files if not (data_root / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f'{data_root}: {len(missing)} of {len(files)} map masks are missing, first {missing[0]}. The devkit wants '
            f'them for an evaluation: unpack the maps folder of nuScenes there'
        )


def _check_point_labels(data_root, tables):
    """The devkit counts the files of nuScenes-lidarseg and -panoptic once their tables are there."""
    for name in ('lidarseg', 'panoptic'):
        table = tables / f'{name}.json'
        if not table.is_file():
            continue
        folder = data_root / name / tables.name
        there = sum(path.suffix in ('.bin', '.npz') for path in folder.iterdir()) if folder.is_dir() else 0
        wanted = len(_read(table))
        if there != wanted:
            raise FileNotFoundError(
                f'{folder}: {there} label files for the {wanted} records of {table}, the devkit refuses that. Unpack '
                f'{name} completely, or move {table.name} away: detection does not need it'
            )
        if any('index' not in record for record in _read(tables / 'category.json')):
            raise ValueError(
                f'{tables / "category.json"}: no index of the classes, as {name} brings it. Unpack {name} after the '
                f'other tables, or move {table.name} away: detection does not need it'
            )


def _check_samples(tables, sample_tokens, source):
    known = {record['token'] for record in _read(tables / 'sample.json')}
    tokens = list(sample_tokens)
    strange = [token for token in tokens if token not in known]
    if strange:
        raise ValueError(
            f'{tables}: {len(strange)} of the {len(tokens)} samples of {source} are not in sample.json, first '
            f'{strange[0]}: info file and tables are of different downloads. Make the info file again'
        )


def _read(path):
    try:
        with open(path, encoding='utf-8') as stream:
            return json.load(stream)
    except ValueError as error:
        raise ValueError(f'{path}: damaged ({error}): unpack it again') from error
