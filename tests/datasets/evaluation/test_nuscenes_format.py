import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet3d.core.bbox import LiDARInstance3DBoxes
from mmdet3d.datasets.nuscenes_dataset import NuScenesDataset, lidar_nusc_box_to_global, output_to_nusc_box
from nuscenes.eval.detection.config import config_factory
from nuscenes.eval.detection.evaluate import DetectionEval
from nuscenes_tables import Tables
from pyquaternion import Quaternion

from dualdistill_runtime.global_boxes import Keyframes, attribute_name
from mmdet3d_plugin.datasets import NuScenesBEVDataset
from mmdet3d_plugin.datasets.evaluation import evaluate_results_file, ground_truth_results, nuscenes_boxes
from mmdet3d_plugin.datasets.evaluation.global_boxes import global_boxes
from mmdet3d_plugin.datasets.evaluation.scores import ERROR_NAMES
from mmdet3d_plugin.datasets.evaluation.submission_file import write_submission

CLASSES = NuScenesBEVDataset.CLASSES
CONFIG = config_factory('detection_cvpr_2019')


def random_detection(count, seed=0, spread=40.0, box_dim=9):
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(count, 9)) * [spread, spread, 1, 0.3, 0.3, 0.3, 2, 3, 3] + [0, 0, 0, 4, 2, 1.5, 0, 0, 0]
    numbers[:, 3:6] = np.abs(numbers[:, 3:6])
    return dict(
        boxes_3d=LiDARInstance3DBoxes(torch.tensor(numbers[:, :box_dim]).float(), box_dim=box_dim),
        scores_3d=torch.tensor(rng.random(count)).float(),
        labels_3d=torch.tensor(rng.integers(len(CLASSES), size=count)),
    )


def convert(detection, info):
    return nuscenes_boxes(detection, info, CLASSES, CONFIG.class_range)


def test_agrees_with_mmdet3d_s_conversion(base_infos):
    info, detection = base_infos['train'][3], random_detection(200)
    theirs = lidar_nusc_box_to_global(info, output_to_nusc_box(detection), CLASSES, CONFIG)
    theirs = sorted(theirs, key=lambda box: -box.score)
    ours = convert(detection, info)
    assert 50 < len(ours) == len(theirs) < 200  # some are out of range
    for our, their in zip(ours, theirs):
        assert our['sample_token'] == info['token']
        assert our['detection_name'] == CLASSES[their.label]
        assert our['detection_score'] == pytest.approx(their.score)
        np.testing.assert_allclose(our['translation'], their.center, atol=1e-4)
        np.testing.assert_allclose(our['size'], their.wlh)
        np.testing.assert_allclose(our['velocity'], their.velocity[:2], atol=1e-5)
        assert Quaternion.absolute_distance(Quaternion(our['rotation']), their.orientation) < 1e-6


def test_boxes_without_velocity_stand_still(base_infos):
    boxes = convert(random_detection(20, spread=5, box_dim=7), base_infos['train'][3])
    assert len(boxes) == 20 and all(box['velocity'] == [0, 0] for box in boxes)


def test_only_the_500_best_boxes_are_kept(base_infos):
    detection = random_detection(700, spread=3)
    boxes = convert(detection, base_infos['train'][3])
    assert len(boxes) == 500
    assert min(box['detection_score'] for box in boxes) == pytest.approx(detection['scores_3d'].sort()[0][200].item())


def test_range_is_the_class_s_own_around_the_ego(base_infos):
    info = base_infos['train'][3]
    numbers = torch.tensor([[0.0, 35.0, 0, 4, 2, 1.5, 0, 0, 0]]).repeat(2, 1)
    labels = torch.tensor([CLASSES.index('car'), CLASSES.index('barrier')])  # evaluated up to 50 m and 30 m
    detection = dict(boxes_3d=LiDARInstance3DBoxes(numbers, box_dim=9), scores_3d=torch.ones(2), labels_3d=labels)
    assert [box['detection_name'] for box in convert(detection, info)] == ['car']


@pytest.mark.parametrize('column', [0, 5, 6, 8])
def test_non_finite_boxes_are_an_error_that_names_the_sample(base_infos, column):
    detection = random_detection(4)
    detection['boxes_3d'].tensor[2, column] = float('nan')
    with pytest.raises(ValueError, match='scene-0061-sample3.*not finite'):
        convert(detection, base_infos['train'][3])


def test_sizes_that_the_devkit_refuses_are_an_error_that_names_the_sample(base_infos):
    detection = random_detection(4)
    detection['boxes_3d'].tensor[1, 4] = 0
    with pytest.raises(ValueError, match='scene-0061-sample3.*size of 0 m'):
        convert(detection, base_infos['train'][3])


@pytest.mark.parametrize('box_dim', [7, 9])
def test_impossible_boxes_are_left_out_and_counted(base_infos, tmp_path, box_dim):
    infos, results = (
        base_infos['train'][:3],
        [random_detection(6, seed, spread=3, box_dim=box_dim) for seed in range(3)],
    )
    results[0]['boxes_3d'].tensor[2, 0] = float('nan')
    results[0]['boxes_3d'].tensor[3, box_dim - 1] = float('inf')
    results[2]['boxes_3d'].tensor[5, 4] = 0
    results[2]['boxes_3d'].tensor[5, 3] = -1
    with pytest.warns(UserWarning, match=r'3 predicted box\(es\) of 2 sample\(s\) are left out') as caught:
        boxes = global_boxes(results, Keyframes.of(infos), CLASSES, CONFIG.class_range)
    assert len(caught) == 1
    path = write_submission(boxes, [info['token'] for info in infos], dict(use_camera=True), tmp_path)
    written = json.loads(Path(path).read_text())['results']
    assert [len(written[info['token']]) for info in infos] == [4, 6, 5]
    expected = convert({key: value[[0, 1, 4, 5]] for key, value in results[0].items()}, infos[0])
    assert written[infos[0]['token']] == expected
    assert len(results[0]['scores_3d']) == 6  # the given detections stay as they are


def test_scores_that_are_not_finite_stop_the_conversion(base_infos):
    results = [random_detection(2)]
    results[0]['scores_3d'][1] = float('nan')
    with pytest.raises(ValueError, match='not finite'):
        global_boxes(results, Keyframes.of(base_infos['train'][:1]), CLASSES, CONFIG.class_range)


def test_no_boxes(base_infos):
    assert convert(random_detection(0), base_infos['train'][3]) == []


def test_attributes_follow_class_and_speed():
    assert attribute_name('car', 0.3) == 'vehicle.moving' and attribute_name('car', 0.1) == 'vehicle.parked'
    assert attribute_name('bus', 0.1) == 'vehicle.stopped'
    assert attribute_name('bicycle', 2) == 'cycle.with_rider' and attribute_name('motorcycle', 0) == (
        'cycle.without_rider'
    )
    assert attribute_name('pedestrian', 1) == 'pedestrian.moving'
    assert attribute_name('pedestrian', 0) == 'pedestrian.standing'
    assert attribute_name('barrier', 0) == attribute_name('traffic_cone', 3) == ''
    for name in CLASSES:  # standing vehicles get mmdet3d's defaults, but for the bus
        if name not in ('bus', 'pedestrian'):
            assert attribute_name(name, 0) == NuScenesDataset.DefaultAttribute[name]


def test_scores_are_the_official_ones_on_a_whole_split(info_files, tables_root, nusc, tmp_path):
    dataset = NuScenesBEVDataset(info_files['val', '4d'], str(tables_root), test_mode=True)
    results = ground_truth_results(dataset)
    rng = torch.Generator().manual_seed(1)
    for result in results:
        boxes = result['pts_bbox']['boxes_3d'].tensor
        boxes += torch.randn(boxes.shape, generator=rng) * 0.3
        boxes[:, 3:6].clamp_(min=0.1)
        result['pts_bbox']['scores_3d'] = torch.rand(len(boxes), generator=rng)
    path, _ = dataset.format_results(results, str(tmp_path))
    names = {info['token']: info['gt_names'] for info in dataset.data_infos}
    ours = evaluate_results_file(path, names, 'v1.0-mini', str(tables_root), CONFIG)
    official = DetectionEval(nusc, CONFIG, path, 'mini_val', str(tmp_path / 'official'), verbose=False).evaluate()[0]
    assert 0.1 < ours['mAP'] < 0.95
    assert ours['mAP'] == official.mean_ap and ours['NDS'] == official.nd_score  # to the last bit
    assert {key: ours[f'm{ERROR_NAMES[key]}'] for key in ERROR_NAMES} == official.tp_errors
    for name in CLASSES:
        assert ours[f'{name}_AP'] == official.mean_dist_aps[name]
    assert ours['truck_AOE'] == official.get_label_tp('truck', 'orient_err')


def test_tables_without_annotations_cannot_be_evaluated(tmp_path):
    root = Tables({'scene-0077': 2}, version='v1.0-test', things=[]).write(tmp_path)
    with pytest.raises(ValueError, match='v1.0-test has no annotations.*--format-only'):
        evaluate_results_file('unused.json', {}, 'v1.0-test', str(root), CONFIG)
