"""A validation set of generated keyframes without sensor files, and its tables as the devkit has them."""

import pytest
from nuscenes import NuScenes

from mmdet3d_plugin.datasets import NuScenesBEVDataset
from mmdet3d_plugin.synthetic.annotated_keyframes import VERSION, random_results, write_keyframes


@pytest.fixture(scope='session')
def keyframes_root(tmp_path_factory):
    """Data root of 70 keyframes of two scenes; read only."""
    root = tmp_path_factory.mktemp('keyframes') / 'nuscenes'
    write_keyframes(root, 70, objects=60)
    return root


@pytest.fixture(scope='session')
def keyframes_nusc(keyframes_root):
    return NuScenes(VERSION, str(keyframes_root), verbose=False)


@pytest.fixture
def keyframes_val(keyframes_root):
    return NuScenesBEVDataset(str(keyframes_root / 'nuscenes_infos_val.pkl'), str(keyframes_root), test_mode=True)


@pytest.fixture
def found(keyframes_val):
    """Function: boxes of a sample and options -> detections of ``keyframes_val``."""
    return lambda boxes=60, **options: random_results(keyframes_val.data_infos, boxes, **options)
