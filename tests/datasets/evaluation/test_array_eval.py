"""The fast evaluation against the devkit's: every number of the summary, on everything that the rules are about."""

import json

import numpy as np
import pytest
import torch
from nuscenes import NuScenes
from nuscenes.eval.detection.config import config_factory

from mmdet3d_plugin.datasets import NuScenesBEVDataset
from mmdet3d_plugin.datasets.evaluation import ground_truth_results
from mmdet3d_plugin.datasets.evaluation.array_eval import evaluate_boxes
from mmdet3d_plugin.datasets.evaluation.backends import TOLERANCE, check_agreement
from mmdet3d_plugin.datasets.evaluation.global_boxes import global_boxes
from mmdet3d_plugin.datasets.evaluation.nuscenes_eval import SampleDetectionEval, summary_of
from mmdet3d_plugin.datasets.infos.info_io import save_infos
from mmdet3d_plugin.datasets.infos.nuscenes_infos import build_infos
from mmdet3d_plugin.synthetic.annotated_keyframes import random_results, write_keyframes

CONFIG = config_factory('detection_cvpr_2019')
CLASSES = NuScenesBEVDataset.CLASSES


@pytest.fixture
def agree(keyframes_val, keyframes_nusc, tmp_path):
    """Function: results -> the summary on which both agree."""
    return lambda results, **options: compare(keyframes_val, keyframes_nusc, results, tmp_path, **options)


def compare(dataset, nusc, results, folder, config=CONFIG, classes=CLASSES):
    truth = dataset._truth()
    boxes = global_boxes(results, dataset.keyframes, dataset.CLASSES, CONFIG.class_range)
    path = dataset._write(boxes, folder)
    ours = evaluate_boxes(boxes, truth, dataset.keyframes.ego2global_translation, config, classes)
    names = {info['token']: info['gt_names'] for info in dataset.data_infos}
    theirs = SampleDetectionEval(nusc, config, path, names, classes).evaluate()[0]
    ours, theirs = summary_of(ours), summary_of(theirs)
    assert ours.keys() == theirs.keys() and ours['cfg'] == theirs['cfg']
    check_agreement(ours, theirs)
    return ours


def without(results, kept):
    """Results of the boxes of which ``kept(index of the sample, labels)`` is True."""
    masks = [kept(index, result['labels_3d']) for index, result in enumerate(results)]
    return [{key: value[mask] for key, value in result.items()} for result, mask in zip(results, masks)]


@pytest.mark.parametrize('seed', [0, 1, 2])
def test_random_detections(agree, found, seed):
    summary = agree(found(seed=seed))
    assert 0.02 < summary['mean_ap'] < 0.6 and 0.1 < summary['nd_score'] < 0.7
    assert all(0.01 < value < 1 for value in summary['tp_errors'].values())


@pytest.mark.parametrize('decimals', [0, 1])
def test_equal_scores(agree, found, decimals):
    """The order of equal scores decides who matches first."""
    agree(found(decimals=decimals))


def test_scores_of_zero_end_the_curves(agree, found):
    results = found()
    for result in results:
        result['scores_3d'][::2] = 0
    assert agree(results)['mean_ap'] > 0.02


def test_few_detections_do_not_reach_the_smallest_recall(agree, found):
    results = without(found(), lambda index, labels: torch.full(labels.shape, index < 3))
    assert agree(results)['tp_errors']['trans_err'] > 0.9


def test_no_detection_at_all(agree, found):
    summary = agree(without(found(), lambda index, labels: torch.zeros(labels.shape, dtype=torch.bool)))
    assert summary['nd_score'] == 0 and set(summary['tp_errors'].values()) == {1.0}


def test_samples_and_classes_without_detections(agree, found):
    car = CLASSES.index('car')
    agree(without(found(), lambda index, labels: (labels == car) & (index % 2 == 0)))


@pytest.mark.parametrize('classes', [['car'], ['barrier'], ['traffic_cone', 'pedestrian']])
def test_some_of_the_classes(agree, found, classes):
    summary = agree(found(), classes=classes)
    assert list(summary['mean_dist_aps']) == [name for name in CONFIG.class_names if name in classes]


def test_annotations_as_detections(agree, keyframes_val):
    summary = agree(ground_truth_results(keyframes_val))
    assert summary['mean_ap'] > 0.95 and summary['tp_errors']['trans_err'] < 1e-3


def test_other_ranges_thresholds_and_minima(agree, found):
    config = config_factory('detection_cvpr_2019')
    config.class_range = {name: distance / 2 for name, distance in config.class_range.items()}
    config.dist_ths, config.dist_th_tp, config.min_recall, config.min_precision = [0.3, 1.5, 6.0], 1.5, 0.05, 0.02
    near, whole = agree(found(), config=config), agree(found())
    assert list(near['label_aps']['car']) == [0.3, 1.5, 6.0] and near['mean_ap'] != whole['mean_ap']


def test_the_fixture_has_what_the_rules_are_about(keyframes_val):
    truth = keyframes_val._truth()
    assert np.isnan(truth.boxes.velocity).any() and (truth.boxes.attribute < 0).any()
    assert (truth.boxes.num_points == 0).any() and len(truth.racks) > 10
    assert len(np.unique(truth.boxes.label)) == 10


def test_bike_racks_and_points_change_the_score(agree, found, keyframes_val, monkeypatch):
    """Without the rules for them the two would differ."""
    results, truth = found(), keyframes_val._truth()
    config, ego = CONFIG, keyframes_val.keyframes.ego2global_translation
    boxes = global_boxes(results, keyframes_val.keyframes, CLASSES, CONFIG.class_range)
    right = agree(results)
    for change in (dict(racks=truth.racks.take(slice(0))), dict(boxes=with_points(truth.boxes))):
        wrong = type(truth)(**{'tokens': truth.tokens, 'boxes': truth.boxes, 'racks': truth.racks, **change})
        summary = summary_of(evaluate_boxes(boxes, wrong, ego, config, CLASSES))
        assert abs(summary['mean_ap'] - right['mean_ap']) > 1e-6


def with_points(boxes):
    return type(boxes)(**{**boxes.columns(), 'num_points': boxes.num_points + 1})


def test_unknown_velocities_of_detections(keyframes_val, keyframes_nusc, found, tmp_path):
    """A submission file may have them."""
    path, _ = keyframes_val.format_results(found(), str(tmp_path))
    content = json.loads((tmp_path / 'results_nusc.json').read_text())
    for number, boxes in enumerate(content['results'].values()):
        for box in boxes[number % 3 :: 3]:
            box['velocity'] = [float('nan')] * 2
    (tmp_path / 'results_nusc.json').write_text(json.dumps(content))
    assert keyframes_val.evaluate_file(path, backend='both')['mAVE'] > 0.1


def test_sizes_that_the_devkit_refuses_are_refused(keyframes_val, found):
    truth, keyframes = keyframes_val._truth(), keyframes_val.keyframes
    flat = type(truth.boxes)(**{**truth.boxes.columns(), 'size': truth.boxes.size * [1, 1, 0]})
    boxes = global_boxes(found(), keyframes, CLASSES, CONFIG.class_range)
    with pytest.raises(ValueError, match='a car that is matched has a size that is not positive'):
        broken = type(truth)(truth.tokens, flat, truth.racks)
        evaluate_boxes(boxes, broken, keyframes.ego2global_translation, CONFIG, CLASSES)


@pytest.mark.parametrize('options', [dict(load_interval=3), dict(classes=['pedestrian', 'car'])])
def test_parts_of_a_file(keyframes_root, options):
    path = str(keyframes_root / 'nuscenes_infos_val.pkl')
    dataset = NuScenesBEVDataset(path, str(keyframes_root), test_mode=True, **options)
    results = random_results(dataset.data_infos, 40)
    for result in results:
        result['labels_3d'] %= len(dataset.CLASSES)
    assert dataset.evaluate(results, backend='both')['mAP'] > 0.01
    with pytest.raises(KeyError):
        dataset._truth().of(['no-such-sample'])


def test_all_backends_give_the_same_scores(keyframes_val, found, capsys):
    scores = [keyframes_val.evaluate(found(), backend=backend) for backend in ('fast', 'devkit', 'both')]
    assert scores[1] == scores[2] and scores[0] == pytest.approx(scores[1], abs=TOLERANCE)
    assert 'fast evaluation and devkit agree, largest difference' in capsys.readouterr().out
    with pytest.raises(ValueError, match="unknown evaluation backend 'slow'; known: fast, devkit, both"):
        keyframes_val.evaluate(found(), backend='slow')


def test_real_keyframes(real_keyframes, tmp_path):
    nusc = NuScenes('v1.0-trainval', str(real_keyframes), verbose=False)
    save_infos(tmp_path / 'infos.pkl', build_infos(nusc, nusc.scene).infos, 'v1.0-trainval', 'val')
    dataset = NuScenesBEVDataset(str(tmp_path / 'infos.pkl'), str(real_keyframes), test_mode=True)
    truth = compare(dataset, nusc, ground_truth_results(dataset), tmp_path)
    assert truth['mean_dist_aps']['car'] > 0.99
    summary = compare(dataset, nusc, random_results(dataset.data_infos, 80), tmp_path)
    assert 0.05 < summary['mean_dist_aps']['car'] < 0.95


@pytest.mark.slow
def test_ten_validation_sets(tmp_path):
    """6019 keyframes as in nuScenes, ten times other detections."""
    root = tmp_path / 'nuscenes'
    dataset = NuScenesBEVDataset(write_keyframes(root, 6019, objects=20), str(root), test_mode=True)
    nusc = NuScenes('v1.0-trainval', str(root), verbose=False)
    for seed in range(10):
        results = random_results(dataset.data_infos, 24, seed=seed, decimals=3)
        assert compare(dataset, nusc, results, tmp_path)['mean_ap'] > 0.01
