from collections import Counter

import numpy as np
import pytest
from mmdet3d.datasets import build_dataset
from mmdet3d.datasets.dataset_wrappers import CBGSDataset
from nuscenes_tables import THINGS, Tables

from mmdet3d_plugin.datasets import NuScenesBEVDataset, SeededCBGSDataset


class Listed:
    """Data set of given labels per sample."""

    CLASSES = ('a', 'b', 'c')
    ann_file = 'listed'

    def __init__(self, labels):
        self.labels = labels
        self.flag = np.zeros(len(labels), dtype=np.uint8)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return index

    def get_cat_ids(self, index):
        return self.labels[index]


def test_each_class_gets_an_equal_share_of_the_draws():
    dataset = Listed([[0]] * 80 + [[1]] * 8 + [[2]] * 2)
    balanced = SeededCBGSDataset(dataset)
    drawn = Counter(dataset.labels[balanced[i]][0] for i in range(len(balanced)))
    assert drawn == {0: 30, 1: 30, 2: 30}
    assert len(balanced.flag) == 90
    assert len(balanced) == pytest.approx(len(CBGSDataset(dataset)), abs=len(dataset.CLASSES))  # it rounds down


def test_absent_class_is_left_out():
    balanced = SeededCBGSDataset(Listed([[0], [0, 2], [0], [], [0]]))
    assert len(balanced) == 4
    assert Counter(balanced.sample_indices)[3] == 0
    with pytest.raises(ValueError, match='listed'):
        SeededCBGSDataset(Listed([[], []]))


def test_draw_depends_on_the_seed_alone():
    dataset = Listed([[i % 3] for i in range(60)])
    first = SeededCBGSDataset(dataset, seed=4).sample_indices
    np.random.rand(7)
    assert SeededCBGSDataset(dataset, seed=4).sample_indices == first
    assert SeededCBGSDataset(dataset, seed=5).sample_indices != first


def test_builds_from_a_config_over_our_data_set(info_files, tables_root):
    inner = dict(type='NuScenesBEVDataset', ann_file=info_files['train', '4d'], data_root=str(tables_root))
    balanced = build_dataset(dict(type='SeededCBGSDataset', dataset=inner))
    assert isinstance(balanced.dataset, NuScenesBEVDataset)
    assert len(balanced) == 10 * 18  # each of ten classes is in every sample
    balanced.check_files(samples='all')
    balanced.dataset.data_root = 'elsewhere'
    with pytest.raises(FileNotFoundError, match='^elsewhere: '):
        balanced.check_files()
    assert balanced.CLASSES == NuScenesBEVDataset.CLASSES


def test_mmdet3d_s_own_wrapper_works_with_our_data_set(info_files, tables_root):
    inner = dict(type='NuScenesBEVDataset', ann_file=info_files['train', '4d'], data_root=str(tables_root))

    def draw():
        np.random.seed(3)
        return build_dataset(dict(type='CBGSDataset', dataset=inner)).sample_indices

    assert draw() == draw()
    assert len(draw()) == 10 * 18


def test_categories_are_those_of_the_boxes_that_training_sees(tmp_path, save_base_infos):
    root = Tables({'scene-0061': 2}, things=[THINGS[0], THINGS[10], THINGS[13]]).write(tmp_path)
    path = save_base_infos(root)
    by_lidar = NuScenesBEVDataset(path, str(root))
    car, pedestrian = 0, 8
    assert by_lidar.get_cat_ids(0) == [car, pedestrian]
    only_pedestrian = NuScenesBEVDataset(path, str(root), classes=['pedestrian'])
    assert only_pedestrian.get_cat_ids(0) == [0]
    radar_only = Tables({'scene-0061': 2}, things=[THINGS[12], THINGS[13], THINGS[10]]).write(tmp_path / 'radar')
    path = save_base_infos(radar_only)
    assert NuScenesBEVDataset(path, str(radar_only)).get_cat_ids(0) == [pedestrian]
    assert NuScenesBEVDataset(path, str(radar_only), use_valid_flag=True).get_cat_ids(0) == [car, pedestrian]
