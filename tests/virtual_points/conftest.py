"""A generated data root that tests may write virtual points to."""

import shutil

import pytest
from nuscenes import NuScenes


@pytest.fixture
def root(tiny_nuscenes, tmp_path):
    """Copy of the generated set: tables, LiDAR files and masks, no images."""
    target = tmp_path / 'nuscenes'
    for name in ('v1.0-mini', 'maps', 'samples/LIDAR_TOP', 'sweeps/LIDAR_TOP', 'instance_masks'):
        shutil.copytree(tiny_nuscenes / name, target / name, ignore=shutil.ignore_patterns('*.tmp'))
    return target


@pytest.fixture
def nusc(root):
    return NuScenes('v1.0-mini', str(root), verbose=False)
