"""Which nuScenes versions a data root holds, and which of its scenes belong to which split."""

import json
from pathlib import Path

from nuscenes.utils.splits import create_splits_scenes

# our split name -> the devkit's, for each version
VERSION_SPLITS = {
    'v1.0-trainval': {'train': 'train', 'val': 'val'},
    'v1.0-test': {'test': 'test'},
    'v1.0-mini': {'train': 'mini_train', 'val': 'mini_val'},
}
SPLITS = ('train', 'val', 'test')
SPLIT_FILE = 'splits.json'  # where the devkit, too, looks for splits of one's own


def find_versions(root, version=None):
    """Versions to convert: the one asked for, or what the data root holds.

    Without a wish it is v1.0-trainval and v1.0-test, as far as present, else v1.0-mini, else the one folder of tables
    with another name.

    Args:
        root (str | Path): Data root, the folder that holds the version folders.
        version (str, optional): Version asked for.

    Returns:
        list[str]: At least one version.

    Raises:
        ValueError: Unknown version.
        FileNotFoundError: The data root does not hold the version, or none at all.
    """
    present = [name for name in VERSION_SPLITS if (Path(root) / name / 'sample.json').is_file()]
    own = sorted(path.parent.name for path in Path(root).glob('*/sample.json') if path.parent.name not in present)
    if version is not None:
        if version in (*present, *own):
            return [version]
        if version not in VERSION_SPLITS:
            known = ', '.join([*VERSION_SPLITS, *own])
            raise ValueError(
                f'unknown nuScenes version {version!r}, there is no {root}/{version}/sample.json; known: {known}'
            )
    full = [name for name in present if name != 'v1.0-mini']
    if version is None and (present or len(own) == 1):
        return full or present or own
    found = f'found {", ".join(present + own)}' if present or own else 'found none'
    wanted = version or ' or '.join(VERSION_SPLITS)
    raise FileNotFoundError(f'{root}: no nuScenes tables of {wanted} ({found}); give --root-path and --version')


def scenes_by_split(nusc, split_file=None):
    """Scene records of each split, in order of time.

    Args:
        nusc (NuScenes): Tables.
        split_file (str | Path, optional): See :func:`split_names`.

    Returns:
        tuple[dict[str, list[dict]], list[str]]: Scenes of every split of the version (a list may be empty), and the
        names of the scenes that are in none.

    Raises:
        ValueError: See :func:`split_names`.
    """
    names, _ = split_names(nusc, split_file)
    start = {s['token']: nusc.get('sample', s['first_sample_token'])['timestamp'] for s in nusc.scene}
    scenes = sorted(nusc.scene, key=lambda scene: start[scene['token']])
    by_split = {split: [scene for scene in scenes if scene['name'] in chosen] for split, chosen in names.items()}
    placed = set().union(*names.values())
    return by_split, [scene['name'] for scene in scenes if scene['name'] not in placed]


def split_names(nusc, split_file=None):
    """Scene names of each split, and where they come from.

    Args:
        nusc (NuScenes): Tables.
        split_file (str | Path, optional): Json file ``{"train": [scene names], "val": [...], "test": [...]}``, of
            which some may be left out. None takes ``<version>/splits.json`` of the data root where it is there and
            has one of these splits, else the official splits of the version.

    Returns:
        tuple[dict[str, set[str]], str]: Split -> scene names; and the source, ``official`` or the file.

    Raises:
        ValueError: The file is not such a file, names a scene that the tables do not have, or puts one into two
            splits; or the version has no official splits.
    """
    own = Path(nusc.dataroot) / nusc.version / SPLIT_FILE
    if split_file is not None:
        return _read(Path(split_file), nusc), str(split_file)
    if own.is_file() and (nusc.version not in VERSION_SPLITS or set(_content(own)) & set(SPLITS)):
        return _read(own, nusc), own.as_posix()
    if nusc.version not in VERSION_SPLITS:
        raise ValueError(
            f'{nusc.dataroot}: {nusc.version} has no official splits: write {own} as {{"train": [scene names], "val": '
            f'[scene names]}}, or give such a file as --split-file'
        )
    official = create_splits_scenes()
    return {split: set(official[name]) for split, name in VERSION_SPLITS[nusc.version].items()}, 'official'


def _content(path):
    """dict: What a split file holds; ValueError unless it maps names to lists of names."""
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise ValueError(f'{path}: cannot read this split file ({error.strerror})') from error
    except ValueError as error:
        raise ValueError(f'{path}: not a json file ({error})') from error
    lists = content.values() if isinstance(content, dict) else [None]
    if not all(isinstance(names, list) and all(isinstance(name, str) for name in names) for names in lists):
        raise ValueError(f'{path}: expected {{"train": ["scene name", ...], "val": [...]}}')
    return content


def _read(path, nusc):
    """dict[str, set[str]]: The splits of a file that are ours, checked against the tables."""
    content = _content(path)
    names = {split: set(content[split]) for split in SPLITS if split in content}
    if not names:
        raise ValueError(f'{path}: names none of the splits {", ".join(SPLITS)}, only {sorted(content)}')
    known = {scene['name'] for scene in nusc.scene}
    absent = sorted(set().union(*names.values()) - known)
    if absent:
        raise ValueError(
            f'{path}: {len(absent)} scene(s) are not in the tables of {nusc.version}: {", ".join(absent[:5])}. The '
            f'tables have {", ".join(sorted(known)[:5])}' + (', ...' if len(known) > 5 else '')
        )
    for first, second in (('train', 'val'), ('train', 'test'), ('val', 'test')):
        both = sorted(names.get(first, set()) & names.get(second, set()))
        if both:
            raise ValueError(f'{path}: {", ".join(both[:5])} stand(s) in {first} and in {second}')
    return names
