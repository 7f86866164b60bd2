"""Reading the tables of a nuScenes data root."""

import json
from pathlib import Path
from typing import Union

from nuscenes import NuScenes


def load_tables(root: Union[str, Path], version: str) -> NuScenes:
    """The devkit's tables of one version.

    Args:
        root: Data root, the folder that holds the version folders.
        version: E.g. ``v1.0-mini``.

    Returns:
        nuscenes.NuScenes: The tables, linked with each other.

    Raises:
        FileNotFoundError: The version's folder, one of its tables or a map is missing.
        ValueError: A table cannot be read, as after a download that was cut off.
    """
    try:
        return NuScenes(version=version, dataroot=str(root), verbose=False)
    except AssertionError as error:  # how the devkit says that a folder or a map is not there
        raise FileNotFoundError(f'{root}: {error}. Unpack all of nuScenes there, or give --root-path') from error
    except ValueError as error:
        broken = _first_broken(Path(root) / version)
        if broken is None:
            raise
        raise ValueError(f'{broken}: not a whole JSON file ({error}); unpack or download it again') from error


def _first_broken(folder):
    """The first table of a version that is not JSON; None when all are."""
    for path in sorted(folder.glob('*.json')):
        try:
            json.loads(path.read_text())
        except ValueError:
            return path
    return None
