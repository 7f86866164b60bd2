"""CRD of query heads: pairs by query, values against a slow reference, gradients to the student's map alone."""

import math

import pytest
import torch
from helpers.query_heads import META, build_query_head, random_predictions
from helpers.toy_models import toy_head_cfg
from mmdet3d.models.builder import build_head

from mmdet3d_plugin.distill import DISTILL
from mmdet3d_plugin.models.heads.query_predictions import QueryPredictions

METAS = [META] * 2


@pytest.fixture(scope='module')
def head():
    return build_query_head().eval().requires_grad_(False)


def build(**options):
    return DISTILL.build(dict(type='CrossHeadQueryLoss', **options))


def slow_terms(head, cross, teacher, temperature, threshold=0.1, beta=2.0):
    """[(class loss, box loss, confident queries)] of each layer, one number at a time in Python floats."""
    weights, results = head.code_weights, []
    for layer in range(len(teacher.logits)):
        focal, gap, confident, total = 0.0, 0.0, 0, 0.0
        for b in range(teacher.logits.shape[1]):
            for q in range(teacher.logits.shape[2]):
                best = 0.0
                for k in range(10):
                    t = 1 / (1 + math.exp(-teacher.logits[layer, b, q, k].item() / temperature))
                    p = 1 / (1 + math.exp(-cross.logits[layer, b, q, k].item()))
                    focal += abs(t - p) ** beta * -(t * math.log(p) + (1 - t) * math.log(1 - p))
                    best = max(best, t)
                if best > threshold:
                    confident, total = confident + 1, total + best
                    difference = (cross.codes[layer, b, q] - teacher.codes[layer, b, q]).abs().tolist()
                    gap += best * sum(w * d for w, d in zip(weights, difference))
        results.append((focal / max(confident, 1), 0.25 * gap / (total + 1e-4), confident))
    return results


@pytest.mark.parametrize('temperature', [1.0, 0.5])
def test_terms_match_the_slow_reference(head, temperature):
    teacher, cross = random_predictions(layers=3, seed=1), random_predictions(layers=3, seed=2)
    teacher = QueryPredictions(teacher.logits - 2.5, teacher.codes)  # some queries are confident, some are not
    losses = build(temperature=temperature)(head, cross, teacher, METAS)
    expected = slow_terms(head, cross, teacher, temperature)
    for group, (focal, bbox, _) in zip(('d0.', 'd1.', ''), expected):
        assert losses[f'{group}loss_cls'].item() == pytest.approx(focal, rel=1e-4)
        assert losses[f'{group}loss_bbox'].item() == pytest.approx(bbox, rel=1e-4)
    assert losses['num_boxes'].item() == expected[-1][2] / 2 and 0 < expected[-1][2] < 10
    assert losses['raw_bbox'].item() == pytest.approx(sum(row[1] for row in expected), rel=1e-4)


def test_it_vanishes_at_the_sharpened_teacher(head):
    teacher = random_predictions()
    cross = QueryPredictions(teacher.logits / 0.5, teacher.codes)
    losses = build()(head, cross, teacher, METAS)
    assert losses['num_boxes'] > 0
    assert losses['raw_cls'].item() == pytest.approx(0.0, abs=1e-6) and losses['raw_bbox'] == 0


def test_an_unsure_teacher_teaches_background_and_no_boxes(head):
    teacher, cross = random_predictions(seed=1), random_predictions(seed=2)
    quiet = QueryPredictions(teacher.logits.detach() * 0 - 6.0, teacher.codes)
    losses = build()(head, cross, quiet, METAS)
    assert losses['num_boxes'] == 0 and losses['raw_bbox'] == 0
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    assert (cross.logits.grad > 0).all() and not cross.codes.grad.any()


def test_gradients_reach_the_students_map_only(head):
    """Through the frozen head: neither its parameters nor the teacher's map get any."""
    student, own = (torch.randn(2, 16, 8, 8, requires_grad=True) for _ in range(2))
    with torch.no_grad():
        teacher = head.predict(own, METAS)
        teacher.logits[..., 3] += 4.0  # confident queries
    cross = head.predict(student, METAS)
    losses = build()(head, cross, teacher, METAS)
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    assert student.grad.abs().sum() > 0 and own.grad is None
    assert all(parameter.grad is None for parameter in head.parameters())
    gradients = random_predictions(seed=3)
    build()(head, random_predictions(), gradients, METAS)['loss_cls'].backward()
    assert gradients.logits.grad is None and gradients.codes.grad is None


def test_predictions_are_left_as_they_are_and_half_precision_is_raised(head):
    teacher, cross = random_predictions(seed=1), random_predictions(seed=2)
    before = [part.clone() for part in (*teacher, *cross)]
    with torch.autocast('cpu', dtype=torch.bfloat16):
        losses = build()(head, cross, teacher, METAS)
    assert all(value.dtype == torch.float32 for value in losses.values())
    assert all(torch.equal(part, old) for part, old in zip((*teacher, *cross), before))


def test_loss_weight_scales_losses_not_raw_terms(head):
    teacher, cross = random_predictions(seed=1), random_predictions(seed=2)
    one, three = (build(loss_weight=weight)(head, cross, teacher, METAS) for weight in (1.0, 3.0))
    assert {name for name in one if 'loss' in name} == {'d0.loss_cls', 'd0.loss_bbox', 'loss_cls', 'loss_bbox'}
    for name, value in one.items():
        torch.testing.assert_close(three[name], value * (3.0 if 'loss' in name else 1.0))


def test_the_loss_with_boxes_reads_query_heads_too(head):
    """CrossHeadBoxLoss asks the head alone: the teacher's detections become matched targets."""
    teacher, cross = (random_predictions(layers=2, queries=12, seed=seed) for seed in (1, 2))
    losses = DISTILL.build(dict(type='CrossHeadBoxLoss', temperature=0.5))(head, cross, teacher, METAS)
    assert losses['num_boxes'] > 0 and losses['d0.loss_bbox'] > 0 and losses['loss_cls'] > 0


def test_what_it_cannot_read_is_named():
    with pytest.raises(ValueError, match='queries of a DETRBEVHead, the teacher head is BEVCenterHead'):
        build().check_head(build_head(toy_head_cfg(12)))
    with pytest.raises(ValueError, match='temperature must be positive'):
        build(temperature=0)
