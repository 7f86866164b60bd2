"""Fixtures shared by every test."""

import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch

import mmdet3d_plugin  # noqa: F401  (closes version gaps before any test imports mmdet3d)

REPO = Path(__file__).resolve().parents[1]


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
