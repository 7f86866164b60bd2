"""Matching queries and boxes: costs by hand, least total cost, odd samples."""

import itertools
import math

import pytest
import torch
from helpers.query_heads import boxes_of, random_boxes, random_predictions
from helpers.toy_models import TOY_RANGE
from mmdet.core.bbox.builder import build_assigner

from mmdet3d_plugin.models.heads.query_box_coder import QueryBoxCoder
from mmdet3d_plugin.models.heads.query_targets import query_targets, usable_objects

CPU = torch.device('cpu')
CODER = QueryBoxCoder(list(TOY_RANGE))


@pytest.fixture
def assigner():
    return build_assigner(dict(type='HungarianBoxAssigner'))


def objects_of(*samples):
    return [usable_objects(boxes, labels, CODER, 10, CPU) for boxes, labels in samples]


def slow_cost(logit, code, label, target):
    p = 1 / (1 + math.exp(-logit[label]))
    focal = -0.25 * (1 - p) ** 2 * math.log(p + 1e-12) + 0.75 * p**2 * math.log(1 - p + 1e-12)
    return 2 * focal + 0.25 * sum(abs(code[i] - target[i]) for i in range(8))


def test_cost_and_matching_against_all_permutations(assigner):
    predictions = random_predictions(layers=3, batch=1, queries=5)
    ((labels, targets),) = objects_of(random_boxes(3))
    logits, codes = predictions.logits[:, 0].detach(), predictions.codes[:, 0].detach()
    cost = assigner.cost(logits, codes, labels, targets)
    queries, boxes = assigner.assign(logits, codes, labels, targets)
    assert cost.shape == (3, 5, 3) and queries.shape == boxes.shape == (3, 3)
    for layer in range(3):
        expected = [
            [slow_cost(logits[layer, q].tolist(), codes[layer, q].tolist(), int(labels[n]), targets[n].tolist())
             for n in range(3)]
            for q in range(5)
        ]  # fmt: skip
        torch.testing.assert_close(cost[layer], torch.tensor(expected), rtol=1e-4, atol=1e-5)
        best = min(itertools.permutations(range(5), 3), key=lambda qs: sum(expected[q][n] for n, q in enumerate(qs)))
        assert {(int(q), int(n)) for q, n in zip(queries[layer], boxes[layer])} == {(q, n) for n, q in enumerate(best)}


def test_velocity_does_not_decide(assigner):
    predictions = random_predictions(batch=1)
    ((labels, targets),) = objects_of(random_boxes(2))
    logits, codes = predictions.logits[:, 0].detach(), predictions.codes[:, 0].detach()
    moved = targets.clone()
    moved[:, 8:] = float('nan')
    assert torch.equal(assigner.cost(logits, codes, labels, targets), assigner.cost(logits, codes, labels, moved))


def test_more_boxes_than_queries(assigner):
    predictions = random_predictions(layers=1, batch=1, queries=3)
    targets = query_targets(predictions, objects_of(random_boxes(7)), assigner)
    assert targets.num_matched == 3 and (targets.labels < 10).all()


def test_an_empty_sample_beside_a_full_one(assigner):
    full, none = random_boxes(2), (boxes_of([]), torch.zeros(0, dtype=torch.long))
    targets = query_targets(random_predictions(), objects_of(none, full), assigner)
    assert targets.num_matched == 2
    assert (targets.labels[:, 0] == 10).all() and not targets.known[:, 0].any()
    assert ((targets.labels[:, 1] < 10).sum(dim=1) == 2).all()
    assert sorted(targets.labels[0, 1].tolist())[:2] == sorted(full[1].tolist())


def test_targets_stand_at_their_queries(assigner):
    predictions = random_predictions(layers=1, batch=1)
    boxes, labels = random_boxes(2)
    with torch.no_grad():  # queries 4 and 1 say the two boxes already
        predictions.codes[0, 0, 4], predictions.codes[0, 0, 1] = CODER.encode(boxes)
        predictions.logits[0, 0, 4, labels[0]] = predictions.logits[0, 0, 1, labels[1]] = 3.0
    targets = query_targets(predictions, objects_of((boxes, labels)), assigner)
    assert targets.labels[0, 0].tolist() == [10, int(labels[1]), 10, 10, int(labels[0])]
    assert targets.known[0, 0].sum(dim=1).tolist() == [0, 10, 0, 0, 10]
    torch.testing.assert_close(targets.codes[0, 0, [4, 1]], CODER.encode(boxes))


def test_objects_of_no_class_or_no_size_are_left_out():
    boxes = boxes_of([[1.0] * 9, [1.0] * 3 + [0.0] + [1.0] * 5, [1.0] * 9, [2.0] * 9])
    labels, codes = usable_objects(boxes, torch.tensor([3, 4, -1, 9]), CODER, 10, CPU)
    assert labels.tolist() == [3, 9] and codes[:, 0].tolist() == [1.0, 2.0]


def test_a_diverged_network_is_matched_and_its_loss_tells(assigner):
    predictions = random_predictions(layers=1, batch=1)
    with torch.no_grad():
        predictions.codes[0, 0, 2] = float('nan')
        predictions.logits[0, 0, 3] = float('inf')
    assert query_targets(predictions, objects_of(random_boxes(3)), assigner).num_matched == 3
