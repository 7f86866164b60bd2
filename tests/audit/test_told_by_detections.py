"""Matches of detections with annotations, and what they tell of classes and boxes."""

import math

import pytest
import torch
from mmdet3d.core import LiDARInstance3DBoxes

from mmdet3d_plugin.audit.told_by_detections import box_behaviour, class_behaviour, match_detections

CLASSES = ['car', 'bus', 'cone']


def scene(count=24):
    """Longish boxes 10 m apart, classes in turn."""
    rows = torch.zeros(count, 9)
    rows[:, 0] = torch.arange(count) * 10.0
    rows[:, 3:6] = torch.tensor([4.5, 1.9, 1.6]) * (0.8 + 0.4 * torch.rand(count, 1))
    rows[:, 6] = torch.linspace(-3, 3, count)
    return rows, torch.arange(count) % 3


def detection(rows, labels, scores=None):
    boxes = LiDARInstance3DBoxes(rows, rows.shape[1])
    scores = torch.full((len(rows),), 0.8) if scores is None else scores
    return dict(boxes_3d=boxes, scores_3d=scores, labels_3d=labels)


def matches_of(rows, labels, truth, true_labels):
    return match_detections([detection(rows, labels)], [(LiDARInstance3DBoxes(truth, 9), true_labels)])


def old_convention(rows):
    rows = rows[:, [0, 1, 2, 4, 3, 5, 6, 7, 8]].clone()
    rows[:, 6] = -rows[:, 6] - math.pi / 2
    return rows


def test_each_object_gets_its_best_near_detection():
    truth = torch.tensor([[0.0, 0, 0, 4, 2, 2, 0, 0, 0], [30.0, 0, 0, 4, 2, 2, 0, 0, 0]])
    rows = truth[[0, 0, 0, 1]].clone()
    rows[:, 0] += torch.tensor([0.5, 1.0, 2.5, 1.9])
    found = detection(rows, torch.tensor([0, 1, 2, 2]), torch.tensor([0.5, 0.9, 0.99, 0.2]))
    matches = match_detections([found], [(LiDARInstance3DBoxes(truth, 9), torch.tensor([0, 1]))])
    assert matches.predicted.tolist() == [1] and matches.true.tolist() == [0]  # 2.5 m is far, a score of 0.2 unsure
    assert matches.boxes[0, 0] == 1.0 and matches.truth[0, 0] == 0.0


def test_good_detections_are_fine():
    truth, labels = scene()
    matches = matches_of(truth + torch.tensor([0.3, 0.2, 0, 0.1, 0.1, 0, 0.05, 0, 0]), labels, truth, labels)
    assert class_behaviour(matches, CLASSES).verdict == 'ok'
    assert box_behaviour(matches).verdict == 'ok'


def test_swapped_classes_are_named():
    truth, labels = scene()
    finding = class_behaviour(matches_of(truth, torch.tensor([1, 0, 2])[labels], truth, labels), CLASSES)
    assert finding.verdict == 'wrong'
    assert "'car' lies on 'bus' in 8 of 8 cases; 'bus' lies on 'car' in 8 of 8 cases" in finding.text


def test_old_boxes_are_named():
    truth, labels = scene()
    finding = box_behaviour(matches_of(old_convention(truth), labels, truth, labels))
    assert finding.verdict == 'wrong' and 'read as before mmdet3d 1.0 0.00 and 0.00: convert it' in finding.text


def test_a_turn_by_half_a_circle_is_no_error():
    truth, labels = scene()
    turned = truth.clone()
    turned[:, 6] += math.pi
    assert 'yaw by 0.00 rad' in box_behaviour(matches_of(turned, labels, truth, labels)).text


@pytest.mark.parametrize('found', [True, False])
def test_too_little_to_tell(found):
    truth, labels = scene(4)
    rows = truth if found else truth[:0]
    matches = matches_of(rows, labels[: len(rows)], truth, labels)
    assert class_behaviour(matches, CLASSES).verdict == box_behaviour(matches).verdict == 'unknown'
