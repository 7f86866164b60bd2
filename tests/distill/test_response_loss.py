"""CRD: box and dense variants on hand-made predictions and against slow references."""

import copy
import math

import pytest
import torch
from helpers.toy_models import toy_head_cfg
from mmdet3d.core.bbox import LiDARInstance3DBoxes
from mmdet3d.models.builder import build_head

from mmdet3d_plugin.distill import DISTILL
from mmdet3d_plugin.distill.losses.cross_head_dense import heatmap_peaks

METAS = [dict(box_type_3d=LiDARInstance3DBoxes, frame_dt=0.5) for _ in range(2)]
CHANNELS = dict(reg=2, height=1, dim=3, rot=2, vel=2)


@pytest.fixture
def head():
    return build_head(toy_head_cfg(12)).eval().requires_grad_(False)


def make_preds(head, level=-6.0, seed=0, size=16):
    """Predictions without any object: every heatmap logit around ``level``."""
    generator = torch.Generator().manual_seed(seed)
    preds = []
    for classes in head.num_classes:
        maps = {name: 0.1 * torch.randn(2, c, size, size, generator=generator) for name, c in CHANNELS.items()}
        maps['heatmap'] = level + 0.01 * torch.randn(2, classes, size, size, generator=generator)
        preds.append([maps])
    return tuple(preds)


def put_object(preds, task=0, sample=0, row=5, col=9, logit=3.0, cls=0):
    """One object of 4.0 x 2.0 x 1.6 m with yaw 0.3 and velocity (1, -2), centred in its cell."""
    maps = preds[task][0]
    maps['heatmap'][sample, cls, row, col] = logit
    for name, values in dict(
        reg=(0.5, 0.5),
        height=(-0.7,),
        dim=(math.log(4.0), math.log(2.0), math.log(1.6)),
        rot=(math.sin(0.3), math.cos(0.3)),
        vel=(1.0, -2.0),
    ).items():
        maps[name][sample, :, row, col] = torch.tensor(values)


def cross_preds(head, seed=1):
    preds = make_preds(head, seed=seed)
    for (maps,) in preds:
        for value in maps.values():
            value.requires_grad_(True)
    return preds


def snapshot(preds):
    return [{name: value.detach().clone() for name, value in maps.items()} for (maps,) in preds]


VARIANTS = ['CrossHeadBoxLoss', 'CrossHeadDenseLoss']


@pytest.mark.parametrize('variant', VARIANTS)
def test_no_teacher_boxes_cost_no_box_loss_and_no_nan(head, variant):
    loss = DISTILL.build(dict(type=variant))
    cross = cross_preds(head)
    losses = loss(head, cross, make_preds(head), METAS)
    assert losses['num_boxes'] == 0 and losses['raw_bbox'] == 0
    total = sum(value for name, value in losses.items() if 'loss' in name)
    total.backward()
    for (maps,) in cross:
        assert torch.isfinite(maps['heatmap'].grad).all() and maps['heatmap'].grad.abs().sum() > 0
        assert maps['reg'].grad is None or not maps['reg'].grad.any()


def test_no_boxes_heatmap_loss_is_the_focal_loss_on_background(head):
    cross = cross_preds(head)
    losses = DISTILL.build(dict(type='CrossHeadBoxLoss'))(head, cross, make_preds(head), METAS)
    for task, (maps,) in enumerate(cross):
        p = maps['heatmap'].sigmoid().clamp(1e-4, 1 - 1e-4).double()
        expected = (-(1 - p + 1e-12).log() * p**2).sum()
        assert losses[f'task{task}.loss_heatmap'].item() == pytest.approx(expected.item(), rel=1e-4)


def test_teacher_box_becomes_the_target_it_was_decoded_from(head):
    """Cross predictions equal to the teacher: no box loss, so z survives the way from centre to bottom and back."""
    teacher = make_preds(head)
    put_object(teacher, task=0)
    cross = copy.deepcopy(teacher)
    losses = DISTILL.build(dict(type='CrossHeadBoxLoss'))(head, cross, teacher, METAS)
    assert losses['num_boxes'] == 0.5
    assert losses['task0.loss_bbox'].item() == pytest.approx(0.0, abs=1e-4)


def test_box_loss_is_code_weighted_l1_at_the_teacher_cell(head):
    teacher = make_preds(head)
    put_object(teacher, task=4, cls=1, sample=1)
    cross = copy.deepcopy(teacher)
    cross[4][0]['height'][1, 0, 5, 9] += 0.5
    cross[4][0]['vel'][1, 1, 5, 9] += 2.0
    losses = DISTILL.build(dict(type='CrossHeadBoxLoss'))(head, cross, teacher, METAS)
    assert losses['task4.loss_bbox'].item() == pytest.approx(0.25 * (0.5 + 0.2 * 2.0), rel=1e-3)
    assert losses['raw_bbox'].item() == pytest.approx(0.25 * 0.9, rel=1e-3)


@pytest.mark.parametrize(('score', 'kept'), [(0.44, 0), (0.45, 1)])
def test_temperature_keeps_original_scores_above_0_445(head, score, kept):
    teacher = make_preds(head)
    put_object(teacher, logit=math.log(score / (1 - score)))
    losses = DISTILL.build(dict(type='CrossHeadBoxLoss'))(head, cross_preds(head), teacher, METAS)
    assert losses['num_boxes'] == kept / 2


def test_temperature_one_uses_plain_scores(head):
    teacher = make_preds(head)
    put_object(teacher, logit=math.log(0.2 / 0.8))
    losses = DISTILL.build(dict(type='CrossHeadBoxLoss', temperature=1.0))(head, cross_preds(head), teacher, METAS)
    assert losses['num_boxes'] == 0.5


def test_nms_override_reaches_the_decoder(head):
    """Two overlapping boxes, IoU about 0.5: suppressed at 0.2, both kept at 0.9."""
    teacher = make_preds(head)
    put_object(teacher, task=0, col=9)
    put_object(teacher, task=0, col=10, logit=2.0)
    counts = [
        DISTILL.build(dict(type='CrossHeadBoxLoss', nms=dict(nms_type='rotate', nms_thr=threshold)))(
            head, cross_preds(head), teacher, METAS
        )['num_boxes'].item()
        for threshold in (0.2, 0.9)
    ]
    assert counts == [0.5, 1.0]


@pytest.mark.parametrize('variant', VARIANTS)
def test_predictions_are_left_as_they_are(head, variant):
    teacher, cross = make_preds(head), make_preds(head, seed=1)
    put_object(teacher)
    before = snapshot(teacher), snapshot(cross)
    DISTILL.build(dict(type=variant))(head, cross, teacher, METAS)
    for preds, old in zip((teacher, cross), before):
        for (maps,), kept in zip(preds, old):
            assert set(maps) == set(kept)
            assert all(torch.equal(maps[name], kept[name]) for name in kept)


@pytest.mark.parametrize('variant', VARIANTS)
def test_loss_weight_scales_losses_not_raw_terms(head, variant):
    teacher = make_preds(head)
    put_object(teacher)
    one, three = (DISTILL.build(dict(type=variant, loss_weight=weight)) for weight in (1.0, 3.0))
    first, second = (loss(head, make_preds(head, seed=1), teacher, METAS) for loss in (one, three))
    assert set(first) == set(second)
    for name, value in first.items():
        torch.testing.assert_close(second[name], value * (3.0 if 'loss' in name else 1.0))
    assert {name for name in first if 'loss' in name} == {
        f'task{task}.loss_{term}' for task in range(6) for term in ('heatmap', 'bbox')
    }


@pytest.mark.parametrize('variant', VARIANTS)
def test_gradients_reach_cross_predictions_only(head, variant):
    teacher = make_preds(head)
    put_object(teacher)
    for (maps,) in teacher:
        for value in maps.values():
            value.requires_grad_(True)
    cross = cross_preds(head)
    losses = DISTILL.build(dict(type=variant))(head, cross, teacher, METAS)
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    assert all(value.grad is None for (maps,) in teacher for value in maps.values())
    assert cross[0][0]['heatmap'].grad.abs().sum() > 0
    assert cross[0][0]['reg'].grad[0, :, 5, 9].abs().sum() > 0
    assert not cross[0][0]['reg'].grad[1].any()


def reference_dense(head, cross, teacher, temperature=0.1, threshold=0.1, beta=2.0):
    """Per task (heatmap loss, box loss), one cell at a time in Python floats."""
    code_weights = head.train_cfg['code_weights']
    result = []
    for (of_cross,), (of_teacher,) in zip(cross, teacher):
        batch, classes, height, width = of_teacher['heatmap'].shape
        heatmap, bbox, count, weight_sum = 0.0, 0.0, 0, 0.0
        for b in range(batch):
            target = (of_teacher['heatmap'][b].double() / temperature).sigmoid()
            for i in range(height):
                for j in range(width):
                    best = 0.0
                    for c in range(classes):
                        t = target[c, i, j].item()
                        p = of_cross['heatmap'][b, c, i, j].double().sigmoid().item()
                        heatmap += abs(t - p) ** beta * -(t * math.log(p) + (1 - t) * math.log(1 - p))
                        window = target[c, max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2]
                        if t > threshold and t >= window.max().item():
                            best = max(best, t)
                    if best:
                        count += 1
                        weight_sum += best
                        k = 0
                        for name, channels in CHANNELS.items():
                            for c in range(channels):
                                gap = of_cross[name][b, c, i, j] - of_teacher[name][b, c, i, j]
                                bbox += best * code_weights[k] * abs(gap.item())
                                k += 1
        result.append((heatmap / max(count, 1), 0.25 * bbox / (weight_sum + 1e-4)))
    return result


def test_dense_loss_matches_the_reference(head):
    teacher, cross = make_preds(head, level=-3.0, size=7), make_preds(head, level=-1.0, seed=1, size=7)
    for (maps,) in (*teacher, *cross):
        maps['heatmap'] += torch.randn_like(maps['heatmap'])
        assert maps['heatmap'].shape[-1] == 7
    put_object(teacher, task=1, cls=1, row=2, col=3, logit=0.1)
    put_object(teacher, task=1, cls=0, row=2, col=4, logit=-0.1)
    losses = DISTILL.build(dict(type='CrossHeadDenseLoss'))(head, cross, teacher, METAS)
    for task, (heatmap, bbox) in enumerate(reference_dense(head, cross, teacher)):
        assert losses[f'task{task}.loss_heatmap'].item() == pytest.approx(heatmap, rel=1e-4)
        assert losses[f'task{task}.loss_bbox'].item() == pytest.approx(bbox, rel=1e-4)
    assert losses['task1.loss_bbox'] > 0


def test_dense_loss_vanishes_at_the_sharpened_teacher(head):
    teacher = make_preds(head)
    put_object(teacher)
    cross = copy.deepcopy(teacher)
    for (maps,) in cross:
        maps['heatmap'] = maps['heatmap'] / 0.1
    losses = DISTILL.build(dict(type='CrossHeadDenseLoss'))(head, cross, teacher, METAS)
    assert losses['num_boxes'] == 0.5
    assert losses['raw_heatmap'].item() == pytest.approx(0.0, abs=1e-6)
    assert losses['raw_bbox'].item() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize('variant', VARIANTS)
def test_neighbours_of_a_peak_are_no_peaks(head, variant):
    """Sharpened scores of all four cells are exactly 1 in float32; their logits are not."""
    teacher = make_preds(head)
    for row, col, logit in ((5, 9, 2.0), (5, 10, 3.0), (4, 9, 2.0), (6, 10, 2.0)):
        put_object(teacher, row=row, col=col, logit=logit)
    cross = copy.deepcopy(teacher)
    for row, col in ((5, 9), (4, 9), (6, 10)):  # only what is wrong at the peak may cost
        cross[0][0]['height'][0, 0, row, col] += 7.0
    cross[0][0]['height'][0, 0, 5, 10] += 0.5
    touching = dict(nms=dict(nms_type='rotate', nms_thr=0.01)) if variant == 'CrossHeadBoxLoss' else {}
    losses = DISTILL.build(dict(type=variant, **touching))(head, cross, teacher, METAS)
    assert losses['num_boxes'] == 0.5
    assert losses['task0.loss_bbox'].item() == pytest.approx(0.25 * 0.5, rel=1e-3)


def test_equal_logits_side_by_side_are_all_peaks():
    logits = torch.full((1, 1, 3, 5), -6.0)
    logits[0, 0, 1, 1:3] = 2.0
    peaks = heatmap_peaks(logits, 0.1, 0.1)
    assert peaks.tolist() == [[[0.0] * 5, [0.0, 1.0, 1.0, 0.0, 0.0], [0.0] * 5]]


@pytest.mark.parametrize('variant', VARIANTS)
def test_bad_temperature_is_an_error(variant):
    with pytest.raises(ValueError, match='temperature must be positive'):
        DISTILL.build(dict(type=variant, temperature=0.0))
