"""The tiny generated set, opened by the devkit, and the worlds behind it."""

import json

import pytest
from nuscenes import NuScenes

from mmdet3d_plugin.synthetic.config import SyntheticConfig
from mmdet3d_plugin.synthetic.generate import MANIFEST
from mmdet3d_plugin.synthetic.world import build_world


@pytest.fixture(scope='session')
def tiny_nusc(tiny_nuscenes):
    return NuScenes('v1.0-mini', str(tiny_nuscenes), verbose=False)


@pytest.fixture(scope='session')
def tiny_config(tiny_nuscenes):
    return SyntheticConfig(**json.loads((tiny_nuscenes / MANIFEST).read_text())['settings'])


@pytest.fixture(scope='session')
def tiny_worlds(tiny_config):
    return [build_world(tiny_config, i) for i in range(tiny_config.scenes)]
