"""Which nuScenes versions a data root holds, and which of its scenes belong to which split."""

from pathlib import Path

from nuscenes.utils.splits import create_splits_scenes

# our split name -> the devkit's, for each version
VERSION_SPLITS = {
    'v1.0-trainval': {'train': 'train', 'val': 'val'},
    'v1.0-test': {'test': 'test'},
    'v1.0-mini': {'train': 'mini_train', 'val': 'mini_val'},
}


def find_versions(root, version=None):
    """Versions to convert: the one asked for, or what the data root holds.

    Without a wish it is v1.0-trainval and v1.0-test, as far as present, else v1.0-mini.

    Args:
        root (str | Path): Data root, the folder that holds the version folders.
        version (str, optional): Version asked for.

    Returns:
        list[str]: At least one version.

    Raises:
        ValueError: Unknown version.
        FileNotFoundError: The data root does not hold the version, or none at all.
    """
    if version is not None and version not in VERSION_SPLITS:
        raise ValueError(f'unknown nuScenes version {version!r}; known: {", ".join(VERSION_SPLITS)}')
    present = [name for name in VERSION_SPLITS if (Path(root) / name / 'sample.json').is_file()]
    if version is not None and version in present:
        return [version]
    found = f'found {", ".join(present)}' if present else 'found none'
    if version is not None or not present:
        wanted = version or ' or '.join(VERSION_SPLITS)
        raise FileNotFoundError(f'{root}: no nuScenes tables of {wanted} ({found}); give --root-path and --version')
    full = [name for name in present if name != 'v1.0-mini']
    return full or present


def scenes_by_split(nusc):
    """Scene records of each split, in order of time.

    Args:
        nusc (NuScenes): Tables.

    Returns:
        tuple[dict[str, list[dict]], list[str]]: Scenes of every split of the version (a list may be empty), and the
        names of the scenes that are in none.
    """
    official = create_splits_scenes()
    start = {s['token']: nusc.get('sample', s['first_sample_token'])['timestamp'] for s in nusc.scene}
    scenes = sorted(nusc.scene, key=lambda scene: start[scene['token']])
    by_split, placed = {}, set()
    for split, official_split in VERSION_SPLITS[nusc.version].items():
        names = set(official[official_split])
        by_split[split] = [scene for scene in scenes if scene['name'] in names]
        placed |= names
    return by_split, [scene['name'] for scene in scenes if scene['name'] not in placed]
