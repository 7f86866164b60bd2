"""The calls for notebooks: their examples run, and they give what the tools give."""

import doctest

import pytest
import torch
from helpers.nuscenes_batch import load_tables, write_infos
from mmcv import Config
from mmdet3d.datasets import build_dataset

import mmdet3d_plugin
from mmdet3d_plugin.engine import api

TOY = 'configs/quickstart/bevdepth4d_toy.py'


@pytest.fixture
def trained(repo_root, tiny_nuscenes, tmp_path, monkeypatch):
    """(checkpoint of the toy student, data set of its test samples)."""
    monkeypatch.chdir(repo_root)
    model = mmdet3d_plugin.build_model(TOY)
    path = str(tmp_path / 'student.pth')
    torch.save(dict(state_dict=model.state_dict(), meta=dict(CLASSES=model.head.classes)), path)
    data = Config.fromfile(TOY).data.test
    data.update(ann_file=write_infos(load_tables(tiny_nuscenes), tmp_path, '4d'), data_root=str(tiny_nuscenes))
    return path, build_dataset(data)


def test_the_examples_run(trained):
    checkpoint, dataset = trained
    result = doctest.testmod(api, extraglobs=dict(checkpoint=checkpoint, sample=dataset[0]))
    assert result.attempted >= 6 and result.failed == 0


def test_detections_are_those_of_a_batch(trained):
    checkpoint, dataset = trained
    student = mmdet3d_plugin.load_student(TOY, checkpoint)
    found = mmdet3d_plugin.detect(student, dataset[1])
    with torch.no_grad():
        expected = student(return_loss=False, **api.collate_sample(dataset[1]))[0]['pts_bbox']
    assert len(found['scores_3d']) > 0 and torch.equal(found['scores_3d'], expected['scores_3d'])
    assert torch.equal(found['boxes_3d'].tensor, expected['boxes_3d'].tensor)
    assert student.head.classes == student.CLASSES and not student.training


def test_a_fused_student_sees_the_same(trained):
    checkpoint, dataset = trained
    plain, fused = (mmdet3d_plugin.load_student(TOY, checkpoint, fuse=fuse) for fuse in (False, True))
    assert fused.img_backbone.conv1.bias is not None and plain.img_backbone.conv1.bias is None
    batch = api.collate_sample(dataset[0])
    with torch.no_grad():
        torch.testing.assert_close(
            fused.extract_bev(batch).head_map, plain.extract_bev(batch).head_map, rtol=1e-3, atol=1e-4
        )


def test_options_reach_the_model_and_a_config_object_takes_none(repo_root, monkeypatch):
    monkeypatch.chdir(repo_root)
    assert mmdet3d_plugin.build_model(
        TOY, {'model.img_backbone.base_channels': 8, 'model.img_neck.in_channels': [16, 32]}
    )
    with pytest.raises(ValueError, match='merge them into the config yourself'):
        mmdet3d_plugin.build_model(Config.fromfile(TOY), {'model.num_frames': 1})
