"""The nuScenes tables of a data root as the devkit's objects. The converters use ``columns.py``, which is smaller."""

from nuscenes import NuScenes

from .table_errors import problems_explained


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
    with problems_explained(root, version):
        return NuScenes(version=version, dataroot=str(root), verbose=False)
