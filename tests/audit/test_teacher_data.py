"""Verification with data: devkit scores and verdicts, of detections made from the annotations themselves."""

import logging

import pytest
import torch
from helpers.nuscenes_batch import load_tables, write_infos
from mmcv import Config
from mmdet3d.models import build_detector

from mmdet3d_plugin.audit import teacher_data
from mmdet3d_plugin.checkpoints.teacher_record import read_record, record_path, write_record
from mmdet3d_plugin.datasets.evaluation.nuscenes_format import ground_truth_results


@pytest.fixture(scope='module')
def setup(tiny_nuscenes, tmp_path_factory, repo_root):
    """(config of the toy teacher on generated data, a detector, its state)."""
    logging.getLogger('mmcv').setLevel(logging.WARNING)
    cfg = Config.fromfile(str(repo_root / 'configs' / 'quickstart' / 'centerpoint_toy.py'))
    info = write_infos(load_tables(tiny_nuscenes), tmp_path_factory.mktemp('infos'), 'base')
    cfg.data.val.update(data_root=str(tiny_nuscenes), ann_file=str(info))
    cfg.data.workers_per_gpu = 0
    model = build_detector(cfg.model)
    model.init_weights()
    return cfg, model, model.state_dict()


def test_an_untrained_teacher_scores_nothing(setup):
    cfg, model, state = setup
    metrics, findings, count = teacher_data.data_findings(model, state, cfg, samples=2, min_map=0.05)
    assert metrics['mAP'] < 0.05 and 2 <= count < 4
    assert findings[0].verdict == 'wrong' and 'below 0.05: untrained' in findings[0].text


@pytest.mark.parametrize('change', ['none', 'classes', 'boxes'])
def test_verdicts_on_annotations_as_detections(setup, monkeypatch, change):
    cfg, model, state = setup

    def annotations(model, loader, distributed, work_dir):
        results = ground_truth_results(loader.dataset)
        for result in results:
            detection = result['pts_bbox']
            if change == 'classes':  # every label one further
                detection['labels_3d'] = (detection['labels_3d'] + 1) % 10
            if change == 'boxes':  # w, l, h and yaw = -yaw - pi / 2
                boxes = detection['boxes_3d'].tensor
                boxes[:, [3, 4]] = boxes[:, [4, 3]]
                boxes[:, 6] = -boxes[:, 6] - torch.pi / 2
        return results

    monkeypatch.setattr(teacher_data, 'run_inference', annotations)
    metrics, findings, count = teacher_data.data_findings(model, state, cfg, samples=1000, min_map=0.05)
    verdicts = {finding.check: finding.verdict for finding in findings}
    assert count > 3
    assert verdicts['classes on data'] == ('wrong' if change == 'classes' else 'ok')
    assert verdicts['boxes on data'] == ('wrong' if change == 'boxes' else 'ok')
    if change != 'classes':  # the devkit's AP looks at centres: an old head keeps it, and loses NDS
        assert verdicts['scores'] == 'ok' and metrics['mAP'] > 0.1


def test_records_belong_to_one_file(tmp_path):
    path = str(tmp_path / 'teacher.pth')
    assert read_record(path, 'a') == {}
    write_record(path, 'a', dict(mAP=0.25, NDS=0.5, mATE=1.0), samples=7)
    assert read_record(path, 'a') == dict(mAP=0.25, NDS=0.5)
    assert read_record(path, 'b') == {}
    with open(record_path(path), 'w') as stream:
        stream.write('{}')
    with pytest.raises(ValueError, match='verified.json: no record of a verification'):
        read_record(path, 'a')
