"""Fixtures shared by every test."""

import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch

import mmdet3d_plugin  # noqa: F401  (closes version gaps before any test imports mmdet3d)

REPO = Path(__file__).resolve().parents[1]


def pytest_addoption(parser):
    parser.addoption('--update-golden', action='store_true', help='write tests/golden/*.json from what the code gives')


@pytest.fixture(autouse=True)
def _fixed_seeds():
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(scope='session')
def repo_root():
    return REPO


@pytest.fixture(scope='session')
def real_root():
    """Data root of one real nuScenes keyframe (v1.0-mini tables); set NUSCENES_ONE_FRAME to use another place."""
    root = Path(os.environ.get('NUSCENES_ONE_FRAME', REPO.parent / 'shared' / 'nuscenes_one_frame'))
    if not (root / 'v1.0-mini' / 'sample.json').is_file():
        pytest.skip('no real nuScenes keyframe: set NUSCENES_ONE_FRAME to a v1.0-mini data root with one keyframe')
    return root


@pytest.fixture(scope='session')
def real_keyframes():
    """Data root of eight real nuScenes keyframes of three scenes, six of them scene-0103's, of which the first four are
    0.5 s apart (v1.0-trainval tables); set NUSCENES_KEYFRAMES to use another place."""
    root = Path(os.environ.get('NUSCENES_KEYFRAMES', REPO.parent / 'shared' / 'nuscenes_real'))
    if not (root / 'v1.0-trainval' / 'sample.json').is_file():
        pytest.skip('no real nuScenes keyframes: set NUSCENES_KEYFRAMES to a v1.0-trainval data root with eight')
    return root


@pytest.fixture(scope='session')
def tiny_nuscenes(tmp_path_factory):
    """Data root of a small generated v1.0-mini set: 2 mini_train and 1 mini_val scenes of 4 keyframes, with sweeps
    (12 Hz cameras of 160 x 90 px, 20 Hz LiDAR of 24 beams) and instance masks. Read only: copy it to change it."""
    from mmdet3d_plugin.synthetic import SyntheticConfig, generate

    config = SyntheticConfig(
        scenes=3, keyframes=4, image_width=160, image_height=90, lidar_beams=24, lidar_azimuth_steps=600, extent=25.0,
        instance_masks=True,
    )  # fmt: skip
    return generate(tmp_path_factory.mktemp('synthetic') / 'nuscenes', config, workers=1, progress=False)


@pytest.fixture(scope='session')
def virtual_nuscenes(tiny_nuscenes, tmp_path_factory):
    """``tiny_nuscenes`` with virtual points beside every sweep, see ``helpers/virtual_points.py``. Read only."""
    from helpers.virtual_points import write_virtual_tree

    return write_virtual_tree(tiny_nuscenes, tmp_path_factory.mktemp('virtual') / 'nuscenes')


@pytest.fixture(scope='session')
def real_virtual_root(real_root, tmp_path_factory):
    """``real_root`` with virtual points beside its sweep, see ``helpers/virtual_points.py``. Read only."""
    from helpers.virtual_points import write_virtual_tree

    return write_virtual_tree(real_root, tmp_path_factory.mktemp('real_virtual') / 'nuscenes')
