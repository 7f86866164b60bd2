"""Detectors of fewer classes than ten: which class lists are taken, and what their scores mean."""

import numpy as np
import pytest
import torch
from nuscenes.eval.detection.config import config_factory
from nuscenes.eval.detection.evaluate import DetectionEval

from mmdet3d_plugin.datasets import NuScenesBEVDataset
from mmdet3d_plugin.datasets.evaluation import ground_truth_results
from mmdet3d_plugin.datasets.evaluation.scores import ERROR_NAMES
from mmdet3d_plugin.engine.preflight import check_classes

TWO = ['pedestrian', 'car']


@pytest.fixture
def dataset_of(info_files, tables_root):
    """Function: class list -> validation set."""
    return lambda classes, **kwargs: NuScenesBEVDataset(
        info_files['val', '4d'], str(tables_root), classes=classes, **{'test_mode': True, **kwargs}
    )


def shaken(results):
    """Detections moved, dropped and doubted, all in place; returns them."""
    rng = torch.Generator().manual_seed(1)
    for result in results:
        detection = result['pts_bbox']
        boxes = detection['boxes_3d'].tensor
        boxes[:, :2] += torch.randn((len(boxes), 2), generator=rng) * 0.6
        detection['scores_3d'] = torch.rand(len(boxes), generator=rng)
        keep = torch.rand(len(boxes), generator=rng) > 0.2
        result['pts_bbox'] = {key: value[keep] for key, value in detection.items()}
    return results


def test_perfect_detections_of_two_classes_score_one(dataset_of, capsys):
    dataset = dataset_of(TWO)
    scores = dataset.evaluate(ground_truth_results(dataset))
    assert scores['mAP'] == pytest.approx(1.0) and scores['NDS'] == pytest.approx(
        1.0, abs=5e-3
    )  # velocities lie in a tilted plane
    assert {key.rsplit('_', 1)[0] for key in scores if '_' in key} == set(TWO)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows if row and row[-1] in ('AAE', '0.000')] == ['class', *TWO]
    assert ['mean', '1.0000', '0.0000'] in [row[:3] for row in rows]
    assert 'means are over 2 of the 10 nuScenes classes' in ' '.join(sum(rows, []))


def test_means_are_those_of_the_rows(dataset_of):
    dataset = dataset_of(['truck', 'pedestrian', 'traffic_cone'])
    scores = dataset.evaluate(shaken(ground_truth_results(dataset)))
    assert 0 < scores['mAP'] < 1
    means = {}
    for name in ('AP', *ERROR_NAMES.values()):
        row = [scores[f'{label}_{name}'] for label in dataset.CLASSES if f'{label}_{name}' in scores]
        assert len(row) == (3 if name in ('AP', 'ATE', 'ASE') else 2)  # a cone has no heading, velocity, attribute
        means[name] = np.mean(row)
        assert scores[f'm{name}'] == pytest.approx(means[name])
    quality = [max(0.0, 1 - means[name]) for name in ERROR_NAMES.values()]
    assert scores['NDS'] == pytest.approx((5 * means['AP'] + sum(quality)) / 10)


def test_scores_of_a_class_do_not_depend_on_the_other_classes(dataset_of):
    few, all_ten = dataset_of(TWO), dataset_of(None)
    of_all = all_ten.evaluate(shaken(ground_truth_results(all_ten)))
    results = shaken(ground_truth_results(all_ten))
    for result in results:  # the same detections, with the labels of the two
        labels = [all_ten.CLASSES[label] for label in result['pts_bbox']['labels_3d']]
        keep = torch.tensor([name in TWO for name in labels])
        result['pts_bbox'] = {key: value[keep] for key, value in result['pts_bbox'].items()}
        result['pts_bbox']['labels_3d'] = torch.tensor([TWO.index(name) for name in labels if name in TWO])
    of_few = few.evaluate(results)
    shared = {key: value for key, value in of_all.items() if key.rsplit('_', 1)[0] in TWO}
    assert len(shared) == 12 and shared == {key: value for key, value in of_few.items() if '_' in key}


def test_classes_without_velocity_and_attribute_score_one_too(dataset_of, recwarn, capsys):
    dataset = dataset_of(['barrier', 'traffic_cone'])
    scores = dataset.evaluate(ground_truth_results(dataset))
    assert scores['mAP'] == pytest.approx(1.0) and scores['NDS'] == pytest.approx(1.0, abs=1e-4)
    assert 'mAVE' not in scores and 'mAAE' not in scores and scores['mAOE'] == scores['barrier_AOE']
    assert [line.split()[-2:] for line in capsys.readouterr().out.splitlines() if line.startswith('mean ')] == [
        ['-', '-']
    ]
    assert not [warning for warning in recwarn if 'empty slice' in str(warning.message)]
    assert dataset_of(['traffic_cone']).evaluate(ground_truth_results(dataset_of(['traffic_cone'])))['NDS'] == (
        pytest.approx(1.0, abs=1e-4)
    )


def test_all_ten_classes_in_any_order_have_the_official_scores(dataset_of, nusc, tmp_path):
    names = list(reversed(NuScenesBEVDataset.CLASSES))
    dataset = dataset_of(names)
    results = shaken(ground_truth_results(dataset))
    path, _ = dataset.format_results(results, str(tmp_path))
    ours = dataset.evaluate(results, backend='both')  # the devkit's to the last bit
    config = config_factory('detection_cvpr_2019')
    official = DetectionEval(nusc, config, path, 'mini_val', str(tmp_path / 'out'), verbose=False).evaluate()[0]
    assert ours['mAP'] == official.mean_ap and ours['NDS'] == official.nd_score
    assert {key: ours[f'm{short}'] for key, short in ERROR_NAMES.items()} == official.tp_errors


def test_a_label_beyond_the_classes_names_sample_and_fix(dataset_of):
    dataset = dataset_of(TWO)
    for label in (2, -1):
        results = ground_truth_results(dataset)
        results[1]['pts_bbox']['labels_3d'][0] = label
        with pytest.raises(ValueError, match=rf'scene-0103-sample1: .* label {label}, .* 2 class.*detection head'):
            dataset.evaluate(results)


def test_classes_from_a_text_file(dataset_of, tmp_path):
    path = tmp_path / 'classes.txt'
    path.write_text('pedestrian\r\n car \n\n')
    assert dataset_of(str(path)).CLASSES == ('pedestrian', 'car')
    with pytest.raises(ValueError, match='classes.*none.txt.*no such file'):
        dataset_of(str(tmp_path / 'none.txt'))


@pytest.mark.parametrize(
    'classes, said', [(['car', 'cars'], 'cars'), (['car', 'car'], 'each once'), ([], 'at least one class')]
)
def test_wrong_class_lists(dataset_of, classes, said):
    with pytest.raises(ValueError, match=said):
        dataset_of(classes)


def test_a_pipeline_for_other_classes_is_refused(dataset_of):
    step = dict(type='ObjectNameFilter', classes=['car', 'pedestrian'])
    assert len(dataset_of(['car', 'pedestrian'], pipeline=[step], test_mode=False)) == 3
    with pytest.raises(ValueError, match="ObjectNameFilter keeps.*'car', 'pedestrian'.*'pedestrian', 'car'"):
        dataset_of(TWO, pipeline=[step], test_mode=False)


def test_a_head_for_other_classes_is_refused(dataset_of):
    class Detector:
        class head:  # noqa: N801
            classes = ['pedestrian', 'car']

    check_classes(Detector, dataset_of(TWO))
    check_classes(object(), dataset_of(TWO))  # no head to look at
    with pytest.raises(ValueError, match=r"data set has the classes \['car', 'pedestrian'\], the detection head"):
        check_classes(Detector, dataset_of(TWO[::-1]))
