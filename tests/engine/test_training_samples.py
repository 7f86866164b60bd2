"""Samples as training sees them: which of them have labels."""

import pytest
from helpers.nuscenes_batch import load_tables, write_infos
from mmcv import Config

from mmdet3d_plugin.engine.training_samples import samples_as_in_training


@pytest.fixture
def reader(tiny_nuscenes, tmp_path):
    """Config of a data set of a generated set, and the name of its first scene."""
    nusc = load_tables(tiny_nuscenes)
    infos = write_infos(nusc, tmp_path, 'base')
    return dict(type='NuScenesBEVDataset', ann_file=str(infos), data_root=f'{tiny_nuscenes}/'), nusc.scene[0]['name']


def config(train, reader):
    return Config(dict(data=dict(train=train, val=dict(ann_file=reader['ann_file'], data_root=reader['data_root']))))


def test_of_a_mixed_set_all_scenes_come_with_the_labels_that_they_have(reader):
    reader, scene = reader
    scenes = dict(scenes=[scene], times=3)
    mixed = config(dict(type='LabelledAndUnlabelled', labelled=reader, scenes=scenes), reader)
    found = samples_as_in_training(mixed, 'train')
    everything = samples_as_in_training(config(reader, reader), 'train')
    assert len(found) == len(everything) and everything.is_labelled.all()
    told = [found.data_infos[index]['scene_name'] == scene for index in range(len(found))]
    assert list(found.is_labelled) == told and 0 < sum(told) < len(told)
    assert samples_as_in_training(mixed, 'val').is_labelled.all()


def test_a_choice_of_the_data_set_itself_stays(reader):
    reader, scene = reader
    train = dict(reader, labelled=dict(scenes=[scene], use='labelled'))
    found = samples_as_in_training(config(dict(type='SeededCBGSDataset', dataset=train), reader), 'train')
    assert found.is_labelled.all() and {info['scene_name'] for info in found.data_infos} == {scene}
