"""The nuScenes tables of a data root, read by the devkit."""

from nuscenes import NuScenes


def load_tables(root, version):
    """Read the tables of a version.

    Args:
        root (str | Path): Data root, the folder that holds the version folders.
        version (str): Version folder.

    Returns:
        NuScenes: Tables.

    Raises:
        ValueError: A table or map is missing, or the tables do not fit each other.
    """
    try:
        return NuScenes(version=version, dataroot=str(root), verbose=False)
    except (AssertionError, FileNotFoundError, ValueError) as error:
        reason = str(error)
    except IndexError:
        reason = 'map.json has no record, but must list every log'
    except KeyError as error:
        reason = f'the tables do not fit each other, nothing has the token or field {error}'
    raise ValueError(
        f'{root}: cannot read the tables of {version}: {reason}. docs/own_data.md says what they must hold'
    )
