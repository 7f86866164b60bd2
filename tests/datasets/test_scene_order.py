"""Scenes never interleave in a data set, and where they do not overlap in time the order is that of time."""

import random

import numpy as np
import pytest
from nuscenes import NuScenes
from nuscenes_tables import Tables

from dualdistill_runtime.scene_order import scene_order, scene_starts
from mmdet3d_plugin.datasets import NuScenesBEVDataset, SeededCBGSDataset
from mmdet3d_plugin.datasets.evaluation import ground_truth_results
from mmdet3d_plugin.datasets.infos.info_io import save_infos
from mmdet3d_plugin.datasets.infos.nuscenes_infos import build_infos


def _info(scene, time):
    return dict(scene_token=scene, timestamp=time)


def in_scene_order(infos):
    scenes, times = [info['scene_token'] for info in infos], [info['timestamp'] for info in infos]
    return [infos[index] for index in scene_order(scenes, times)]


def _shown(infos):
    return [(info['scene_token'], info['timestamp']) for info in infos]


def test_overlapping_scenes_do_not_interleave():
    infos = [_info(*pair) for pair in (('b', 3), ('a', 4), ('b', 1), ('a', 2), ('c', 0), ('a', 6), ('b', 5))]
    expected = [('c', 0), ('b', 1), ('b', 3), ('b', 5), ('a', 2), ('a', 4), ('a', 6)]
    assert _shown(in_scene_order(infos)) == expected
    random.shuffle(infos)
    assert _shown(in_scene_order(infos)) == expected
    scenes, times = zip(*_shown(in_scene_order(infos)))
    assert scene_starts(scenes, times).tolist() == [0, 1, 1, 1, 4, 4, 4]


def test_scenes_that_start_together_are_told_apart_by_their_tokens():
    infos = [_info(scene, time) for time in (0, 1) for scene in 'ba']
    assert _shown(in_scene_order(infos)) == [('a', 0), ('a', 1), ('b', 0), ('b', 1)]


def test_a_scene_that_comes_again_starts_again():
    assert scene_starts(list('aaaaa'), [1, 2, 1, 2, 2]).tolist() == [0, 0, 2, 2, 4]


def test_no_infos():
    assert scene_order([], []).shape == scene_starts([], []).shape == (0,)


def test_one_scene_after_the_other_stays_in_order_of_time(base_infos):
    infos = [*base_infos['train'], *base_infos['val']]
    by_time = sorted(infos, key=lambda info: info['timestamp'])
    assert _shown(in_scene_order(infos[::-1])) == _shown(by_time)


def test_real_scenes_are_in_order_of_time(real_keyframes):
    samples = NuScenes('v1.0-trainval', str(real_keyframes), verbose=False).sample
    by_time = sorted(samples, key=lambda sample: sample['timestamp'])
    assert len(samples) == 8 and len({sample['scene_token'] for sample in samples}) == 3
    assert _shown(in_scene_order(samples[::-1])) == _shown(by_time)


@pytest.fixture
def overlapping(tmp_path):
    """(data root, info file) of two scenes that two cars recorded at the same time."""
    tables = Tables({'scene-0061': 4, 'scene-0553': 3})
    for name in ('sample', 'sample_data', 'ego_pose'):
        for record in tables.tables[name]:
            record['timestamp'] -= record['timestamp'] // 100_000_000 % 2 * 99_900_000  # the second one 0.1 s later
    root = tables.write(tmp_path)
    nusc = NuScenes('v1.0-mini', str(root), verbose=False)
    infos = sorted(build_infos(nusc, nusc.scene).infos, key=lambda info: info['timestamp'])
    scenes = [info['scene_token'] for info in infos]
    assert scenes != sorted(scenes)  # by time alone they interleave
    save_infos(root / 'infos.pkl', infos, 'v1.0-mini', 'train')
    return root, str(root / 'infos.pkl')


def test_a_data_set_of_overlapping_scenes(overlapping):
    root, path = overlapping
    dataset = NuScenesBEVDataset(path, str(root))
    scenes = [dataset.get_data_info(index)['scene_token'] for index in range(7)]
    assert scenes == ['scene-0061'] * 4 + ['scene-0553'] * 3
    times = [dataset.get_data_info(index)['timestamp'] for index in range(7)]
    assert np.diff(times)[[0, 1, 2, 4, 5]].min() > 0 > np.diff(times)[3]


def test_results_belong_to_their_tokens_whatever_the_order(overlapping):
    root, path = overlapping
    dataset = NuScenesBEVDataset(path, str(root), test_mode=True)
    assert dataset.evaluate(ground_truth_results(dataset))['NDS'] > 0.99


def test_class_balance_follows_the_order_of_the_data_set(overlapping):
    root, path = overlapping
    balanced = SeededCBGSDataset(dict(type='NuScenesBEVDataset', ann_file=path, data_root=str(root)))
    for index in range(len(balanced.dataset)):
        names = set(balanced.dataset.get_data_info(index)['ann_info']['gt_labels_3d'].tolist()) - {-1}
        assert balanced.dataset.get_cat_ids(index) == sorted(names)
