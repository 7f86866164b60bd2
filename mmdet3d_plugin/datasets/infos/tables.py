"""The nuScenes tables of a data root, read by the devkit."""

import json
from pathlib import Path

from nuscenes import NuScenes


def load_tables(root, version):
    """Read the tables of a version.

    Args:
        root (str | Path): Data root, the folder that holds the version folders.
        version (str): Version folder.

    Returns:
        NuScenes: Tables.

    Raises:
        ValueError: A table or map is missing or damaged, or the tables do not fit each other.
    """
    try:
        return NuScenes(version=version, dataroot=str(root), verbose=False)
    except json.JSONDecodeError as error:
        reason = f'{_damaged(Path(root) / version)} is damaged ({error})'
    except (AssertionError, FileNotFoundError, ValueError) as error:
        reason = str(error)
    except IndexError:
        reason = 'map.json has no record, but must list every log'
    except KeyError as error:
        reason = f'the tables do not fit each other, nothing has the token or field {error}'
    raise ValueError(f'{root}: cannot read the tables of {version}: {reason}. What they must hold: docs/own_data.md')


def _damaged(folder):
    """str: Name of the first table that is no json."""
    for path in sorted(folder.glob('*.json')):
        try:
            json.loads(path.read_text())
        except ValueError:
            return path.name
    return 'a table'
