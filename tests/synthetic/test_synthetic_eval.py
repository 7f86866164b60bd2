"""The official evaluation runs on a generated set, and ground truth written as predictions is perfect."""

import json

from nuscenes.eval.common.config import config_factory
from nuscenes.eval.common.loaders import load_gt
from nuscenes.eval.detection.data_classes import DetectionBox
from nuscenes.eval.detection.evaluate import NuScenesEval


def test_ground_truth_as_prediction_is_perfect(tiny_nusc, tmp_path):
    truth = load_gt(tiny_nusc, 'mini_val', DetectionBox)
    assert len(truth.sample_tokens) == 4
    results = {}
    for token in truth.sample_tokens:
        boxes = [box.serialize() for box in truth[token] if box.num_pts > 0]
        results[token] = [dict(box, velocity=list(box['velocity']), detection_score=1.0) for box in boxes]
    path = tmp_path / 'results.json'
    meta = dict(use_camera=False, use_lidar=True, use_radar=False, use_map=False, use_external=False)
    path.write_text(json.dumps(dict(meta=meta, results=results)))
    evaluation = NuScenesEval(
        tiny_nusc, config_factory('detection_cvpr_2019'), str(path), 'mini_val', str(tmp_path / 'out'), verbose=False
    )
    metrics, _ = evaluation.evaluate()
    assert metrics.mean_ap > 0.99
    assert metrics.nd_score > 0.99
    assert max(metrics.tp_errors.values()) < 1e-6
