"""Fixtures shared by every test."""

import multiprocessing
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


# Variables of the caller that change what tools say or where they write, and those of git, which a hook that starts the
# tests sets: commands on a test's own repository would go to the hook's.
_CALLERS = ('DUALDISTILL_TRACEBACK', 'PYTHON', 'PYTHONWARNINGS', 'WORK_DIR', 'GPUS', 'DATA_ROOT', 'TEACHER_CKPT')


def pytest_configure():
    for name in [name for name in os.environ if name in _CALLERS or name.startswith('GIT_')]:
        del os.environ[name]
    os.environ['no_proxy'] = '127.0.0.1,localhost'  # servers that tests start
    # Programs that tests start use this checkout, whatever the caller's variable names.
    os.environ['PYTHONPATH'] = str(REPO)


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker('slow'):
            item.add_marker(pytest.mark.timeout(0))


def pytest_sessionfinish():
    for child in multiprocessing.active_children():  # of a test that was given up: this process would wait for them
        child.kill()


def _seed():
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _fixed_seeds():
    _seed()


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef):
    """What is made once for several tests is the same whichever test is the first to ask for it."""
    if fixturedef.scope == 'function':
        return (yield)
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    _seed()
    try:
        return (yield)
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


@pytest.fixture(scope='session')
def repo_root():
    return REPO


def _real_data(variable, version, what):
    """Data root that an environment variable names (seen from the repository); skips without the variable."""
    named = os.environ.get(variable)
    if not named:
        pytest.skip(f'no real nuScenes data: set {variable} to a {version} data root with {what}')
    root = REPO / named
    if not (root / version / 'sample.json').is_file():
        pytest.fail(f'{variable}={named}: there is no {root / version / "sample.json"}', pytrace=False)
    return root


@pytest.fixture(scope='session')
def real_root():
    """Data root of one real nuScenes keyframe (v1.0-mini tables), from NUSCENES_ONE_FRAME."""
    return _real_data('NUSCENES_ONE_FRAME', 'v1.0-mini', 'one keyframe')


@pytest.fixture(scope='session')
def real_keyframes():
    """Data root of eight real nuScenes keyframes of three scenes, from NUSCENES_KEYFRAMES.

    Six are scene-0103's, of which the first four are 0.5 s apart. The v1.0-trainval tables hold all, those of v1.0-mini
    the same but for scene-0003's one. Read only.
    """
    return _real_data('NUSCENES_KEYFRAMES', 'v1.0-trainval', 'eight keyframes')


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
