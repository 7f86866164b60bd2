"""Samples without labels: what is trained on them, in both families, and that nobody reads a label of theirs."""

import copy
import math

import pytest
import torch
from helpers.gradients import build, gradients_worker, step_gradients
from helpers.processes import free_port, spawn_two
from helpers.unlabelled import (
    FAMILIES,
    batch_for,
    detection,
    distiller_of,
    mark,
    poison,
    samples_of,
    total,
)
from mmdet3d.core.bbox import LiDARInstance3DBoxes

from mmdet3d_plugin.distill.regions import build_regions
from mmdet3d_plugin.distill.unlabelled import Objects, UnlabelledRules, objects_of
from mmdet3d_plugin.engine import wrap_model
from mmdet3d_plugin.structures import BEVGrid, Detections
from mmdet3d_plugin.structures.labelled import labelled_samples, unlabelled_samples


@pytest.fixture(scope='module', params=FAMILIES)
def family(request):
    return request.param


@pytest.fixture(scope='module')
def cfg(family, tmp_path_factory):
    """Function: config of the family's distiller with other entries."""
    folder = tmp_path_factory.mktemp(family)
    written = distiller_of(family, folder)
    return lambda **overrides: {**written, **overrides}


def rules_of(cfg, **changes):
    return dict(cfg()['unlabelled'], **changes)


def outcome(model, batch):
    """(losses, gradients by parameter, buffers) of one step of a copy of the model."""
    model = copy.deepcopy(model)
    torch.manual_seed(3)
    losses = model.forward_train(**batch)
    total(losses).backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    return losses, gradients, dict(model.named_buffers())


def assert_equal(one, other):
    for mine, theirs in zip(one, other):
        assert list(mine) == list(theirs)
        assert not [name for name in mine if not torch.equal(mine[name], theirs[name])]


def test_which_samples():
    metas = [dict(), dict(labelled=False), dict(labelled=True), dict(labelled=False)]
    assert labelled_samples(metas) == [0, 2] and unlabelled_samples(metas) == [1, 3]


@pytest.mark.parametrize('changes', [dict(), dict(weight='score'), dict(pseudo_labels=True)], ids=str)
def test_no_label_of_an_unlabelled_sample_is_read(cfg, family, changes):
    model = build(cfg(unlabelled=rules_of(cfg, **changes))).train()
    batch = mark(batch_for(family), [0, 2])
    clean, poisoned = outcome(model, batch), outcome(model, poison(batch))
    assert_equal(clean, poisoned)
    assert all(gradient is not None and gradient.isfinite().all() for gradient in clean[1].values())
    # and the poison does spoil what reads it
    bad = outcome(model, dict(poison(batch), img_metas=batch_for(family)['img_metas']))
    assert any(not torch.equal(bad[0][name], clean[0][name]) for name in detection(clean[0]))


def test_detection_is_that_of_the_labelled_part_alone(cfg, family):
    model = build(cfg())  # frozen normalisation: a sample's maps do not depend on the others
    batch = batch_for(family)
    mixed = model.forward_train(**mark(batch, [1]))
    part = model.forward_train(**samples_of(batch, [0, 2]))
    whole = model.forward_train(**batch)
    for name, value in detection(mixed).items():
        torch.testing.assert_close(value, part[name], rtol=1e-4, atol=1e-6)
    assert any((whole[name] - mixed[name]).abs() > 1e-3 for name in detection(mixed))
    for name in (name for name in whole if name.startswith(('loss_depth', 'crd.'))):
        assert torch.equal(mixed[name], whole[name]), name  # these need no labels


def test_statistics_of_the_head_come_from_labelled_maps(tmp_path):
    model = build(distiller_of('bevdepth4d', tmp_path)).student.train()
    batch = batch_for('bevdepth4d')
    other = copy.deepcopy(model)
    bev = model.extract_bev(batch)
    model.head_losses(bev, mark(batch, [1]))
    other.head.predict(bev.head_map[[0, 2]], batch['img_metas'])
    ours, theirs = (dict(part.head.named_buffers()) for part in (model, other))
    assert ours and all(torch.equal(ours[name], theirs[name]) for name in ours)
    before = copy.deepcopy(ours)
    model.head_losses(bev, mark(batch, [0, 1, 2]))
    assert all(torch.equal(value, before[name]) for name, value in model.head.named_buffers())
    assert all(part.training for part in model.head.modules())


def test_a_batch_without_labels(cfg, family):
    model, batch = build(cfg()).train(), batch_for(family)
    nothing = mark(batch, [0, 1, 2])
    losses, gradients, _ = outcome(model, poison(nothing))
    assert list(losses) == list(outcome(model, batch)[0])
    assert all(value == 0 and value.requires_grad for value in detection(losses).values())
    assert total(losses) > 0 and all(value.isfinite() for value in losses.values())
    of_head = [name for name in gradients if name.startswith('student.pts_bbox_head.')]
    assert of_head and all(gradients[name] is not None and not gradients[name].any() for name in of_head)
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients.values())
    # the student alone too, without anything to learn from but the depth
    student = copy.deepcopy(model.student)
    own = student.forward_train(**poison(nothing))
    total(own).backward()
    assert [name for name, parameter in student.named_parameters() if parameter.grad is None] == []
    assert (total(own) > 0) == ('loss_depth' in own)


def test_a_labelled_batch_does_not_know_of_unlabelled_ones(cfg, family):
    batch = batch_for(family)
    told = dict(batch, img_metas=[dict(meta, labelled=True) for meta in batch['img_metas']])
    plain = build(cfg(unlabelled=None)).train()
    rules = rules_of(cfg, weight='score', pseudo_labels=True)
    assert_equal(outcome(plain, batch), outcome(build(cfg(unlabelled=rules)).train(), told))


def test_the_teacher_labels_for_the_student(cfg, family):
    rules = rules_of(cfg, pseudo_labels=True)
    model, batch = build(cfg(unlabelled=rules)), mark(batch_for(family), [1])
    losses = model.forward_train(**batch)
    theirs = model.teacher.extract_bev(batch)
    preds = model.teacher.respond(theirs.head_map, batch['img_metas'])
    found = model.teacher.head.decode(preds, batch['img_metas'], score_threshold=rules['score_threshold'])[1]
    assert len(found.labels) > 1
    boxes = [batch['gt_bboxes_3d'][0], found.boxes, batch['gt_bboxes_3d'][2]]
    labels = [batch['gt_labels_3d'][0], found.labels, batch['gt_labels_3d'][2]]
    by_hand = model.student.forward_train(**dict(batch_for(family), gt_bboxes_3d=boxes, gt_labels_3d=labels))
    for name, value in detection(losses).items():
        torch.testing.assert_close(value, by_hand[name], rtol=1e-5, atol=1e-7)
    without = build(cfg()).forward_train(**batch)
    assert any((without[name] - losses[name]).abs() > 1e-3 for name in detection(losses))
    assert all(torch.equal(losses[name], without[name]) for name in losses if name.startswith(('distill.', 'crd.')))


def test_pseudo_labels_alone_need_no_level(cfg, family):
    alone = dict(levels={}, response=None, inherit_head=False)
    model = build(cfg(unlabelled=rules_of(cfg, pseudo_labels=True), **alone)).train()
    batch = mark(batch_for(family), [0, 2])
    losses, gradients, _ = outcome(model, batch)
    assert set(losses) == {*detection(losses), *(['loss_depth'] if family == 'bevdepth4d' else [])}
    assert all(gradient is not None for gradient in gradients.values())
    step = model.train_step(batch, None)
    assert step['loss_by_purpose']['distillation'] == 0 and step['loss_by_purpose']['detection'] == step['loss']
    with pytest.raises(ValueError, match=r'nothing to distill.*unlabelled=dict\(pseudo_labels=True\)'):
        build(cfg(**alone))


def regions_with(model, batch, found, monkeypatch):
    """Regions of the level with false positives when the teacher finds this."""
    monkeypatch.setattr(model.teacher.head, 'decode', lambda *args, **kwargs: found)
    name = next(name for name, loss in model.feature_losses.items() if loss.needs_false_positives)
    views = model.compare(batch)
    return views.regions[name], views, name


def detections(rows, scores, labels):
    boxes = torch.tensor([[*row[:2], -1.0, *row[2:], 1.5, 0.0, 0.0, 0.0] for row in rows]).reshape(-1, 9)
    return Detections(LiDARInstance3DBoxes(boxes, box_dim=9), torch.tensor(scores), torch.tensor(labels).long())


# centre x, y, length, width: 4 x 2 and 2 x 2 cells of 1.6 m, one beside the other, and one on top of the first
FIRST, SECOND, ABOVE = (0.0, 0.0, 6.4, 3.2), (8.0, 6.4, 3.2, 3.2), (0.0, 0.0, 3.2, 3.2)


@pytest.mark.parametrize('weight', [None, 'score'])
def test_foreground_of_an_unlabelled_sample_is_what_the_teacher_finds(cfg, family, monkeypatch, weight):
    model = build(cfg(unlabelled=dict(weight=weight)))
    batch = mark(batch_for(family), [1])
    nothing = detections([FIRST], [0.9], [0])  # of labelled samples: must not be looked at
    found = [nothing, detections([FIRST, SECOND, ABOVE], [0.5, 0.4, 0.8], [0, 9, 2]), nothing]
    regions, views, name = regions_with(model, batch, found, monkeypatch)
    cells = {tuple(cell) for cell in regions.fg[1].nonzero().tolist()}
    first = {(row, col) for row in (7, 8) for col in (6, 7, 8, 9)}
    assert cells == first | {(row, col) for row in (11, 12) for col in (12, 13)}
    factors = (0.8, 0.5, 0.4) if weight else (1.0, 1.0, 1.0)
    scale = regions.fg_scale[1]
    assert scale[7, 7].item() == pytest.approx(factors[0] / 2)  # the surer box owns the cell: 4 cells
    assert scale[7, 6].item() == pytest.approx(factors[1] / math.sqrt(8))
    assert scale[11, 12].item() == pytest.approx(factors[2] / 2)
    assert regions.owner[1][7, 7] == 0 and regions.owner[1][7, 6] == 1 and regions.owner[1][11, 12] == 2
    assert not regions.fp[1].any() and torch.equal(regions.bg[1], ~regions.fg[1])
    assert regions.bg_scale[1].item() == pytest.approx(1 / (256 - 12))
    labelled = model.compare(batch_for(family)).regions[name]
    for sample in (0, 2):  # as if all were labelled
        for part in ('fg', 'fp', 'bg', 'fg_scale'):
            assert torch.equal(getattr(regions, part)[sample], getattr(labelled, part)[sample]), part
    assert labelled.fp.any() and labelled.fp[1].any()
    assert views.objects.labels[1].tolist() == [2, 0, 9]


def test_a_teacher_that_finds_nothing_leaves_background(cfg, family, monkeypatch):
    model = build(cfg(unlabelled=dict(weight='score')))
    batch = mark(batch_for(family), [0, 1, 2])
    regions, _, _ = regions_with(model, batch, [detections([], [], [])] * 3, monkeypatch)
    assert regions.bg.all() and not regions.fg.any() and not regions.fg_scale.any()


def test_the_threshold_and_the_suppression_are_the_teachers(tmp_path, monkeypatch):
    seen = []
    cfg = distiller_of('bevdepth4d', tmp_path, unlabelled=dict(score_threshold=0.25, nms=dict(nms_thr=0.1)))
    model, batch = build(cfg), mark(batch_for('bevdepth4d'), [1])
    decode = model.teacher.head.decode

    def spy(*args, **kwargs):
        seen.append(kwargs)
        return decode(*args, **kwargs)

    monkeypatch.setattr(model.teacher.head, 'decode', spy)
    views = model.compare(batch)
    assert seen == [dict(score_threshold=0.25, nms=dict(nms_thr=0.1))]
    assert views.objects.weights is None and len(views.objects.boxes[1]) > 0
    model.compare(batch_for('bevdepth4d'))
    assert len(seen) == 1  # a labelled batch costs no decoding


def test_weights_of_boxes_by_hand():
    grid = BEVGrid(x_min=0.0, y_min=0.0, x_max=8.0, y_max=6.0, height=6, width=8)
    one = torch.tensor([[3.5, 2.0, 0, 3.0, 2.0, 1.5, 0]])  # 6 cells
    two = torch.tensor([[1.0, 1.0, 0, 2.0, 2.0, 1.5, 0], [6.0, 4.0, 0, 2.0, 4.0, 1.5, 0]])  # 4 and 8 cells
    weights = [torch.tensor([0.25]), torch.tensor([1.0, 0.01])]
    regions = build_regions([one, two], grid, weights=weights)
    assert regions.fg_scale[0, 1, 2].item() == pytest.approx(0.25 / math.sqrt(6))
    assert regions.fg_scale[1, 0, 0].item() == pytest.approx(0.5)
    assert regions.fg_scale[1, 3, 5].item() == pytest.approx(0.01 / math.sqrt(8))
    # a box that hardly counts weighs as much as background
    assert regions.scaled_masks()['fg'][1, 3, 5].item() == pytest.approx(1 / (48 - 12))
    plain = build_regions([one, two], grid)
    assert torch.equal(build_regions([one, two], grid, weights=[torch.ones(1), torch.ones(2)]).fg_scale, plain.fg_scale)


def test_objects_without_weights_or_with():
    batch = mark(batch_for('bevdepth4d', size=2), [1])
    found = [None, detections([FIRST, SECOND], [0.3, 0.6], [4, 5])]
    plain = objects_of(batch, found, UnlabelledRules())
    assert isinstance(plain, Objects) and plain.weights is None
    assert plain.boxes[0] is batch['gt_bboxes_3d'][0] and plain.boxes[1].tensor[0, 0] == 8.0
    weighted = objects_of(batch, found, UnlabelledRules(weight='score'))
    assert weighted.weights[0].tolist() == [1.0] * len(batch['gt_bboxes_3d'][0])
    assert weighted.weights[1].tolist() == pytest.approx([0.6, 0.3])


@pytest.mark.parametrize(
    'settings, message',
    [
        (dict(score_threshold=1.0), 'score_threshold must be at least 0 and below 1, got 1.0'),
        (dict(weight='soft'), "weight must be one of .*'score'.*, got 'soft'"),
        (dict(threshold=0.3), r"takes score_threshold, weight, pseudo_labels, nms, got \['threshold'\]"),
    ],
)
def test_settings_that_do_not_exist(settings, message):
    with pytest.raises(ValueError, match=f'unlabelled.*{message}'):
        UnlabelledRules.of(settings)


def test_suppression_that_the_teachers_head_cannot_do_is_named_when_it_is_built(cfg, family):
    known, unknown = dict(nms_type='rotate', nms_thr=0.1), dict(nms_thresh=0.1)
    if family == 'bevformer':
        with pytest.raises(ValueError, match='DETRBEVHead has nothing to suppress'):
            build(cfg(unlabelled=rules_of(cfg, nms=known)))
        return
    build(cfg(unlabelled=rules_of(cfg, nms=known), response=dict(type='CrossHeadBoxLoss', nms=known)))
    for change in (
        dict(unlabelled=rules_of(cfg, nms=unknown)),
        dict(response=dict(type='CrossHeadBoxLoss', nms=unknown)),
    ):
        with pytest.raises(ValueError, match=r"unknown \['nms_thresh'\]"):
            build(cfg(**change))


def of_two_processes(cfg, halves, folder):
    """Averaged gradients of two processes, equal in both."""
    spawn_two(gradients_worker, (2, free_port(), 'cpu', cfg, halves, str(folder)), 'gloo')
    first, second = (torch.load(folder / f'rank{rank}.pth', weights_only=True) for rank in (0, 1))
    assert set(first) == set(second) and all(torch.equal(first[name], second[name]) for name in first)
    return first


def assert_close(gradients, expected):
    assert set(gradients) == set(expected) and len(expected) > 50
    for name, value in expected.items():
        scale = value.abs().max().clamp(min=1e-3)  # smaller gradients are the rounding of larger ones
        assert (gradients[name] - value).abs().max() < 1e-4 * scale, name


def test_one_process_without_a_label_among_two(cfg, family, tmp_path):
    """With a CenterPoint head both processes average; with queries the normaliser is that of both together."""
    batch = mark(batch_for(family, size=2), [1])
    halves = [samples_of(batch, [0]), samples_of(batch, [1])]
    settings = cfg() if family == 'bevdepth4d' else cfg(response=None)
    both = of_two_processes(settings, halves, tmp_path)
    singles = [step_gradients(wrap_model(build(settings), 'cpu', distributed=False), half) for half in halves]
    of_head = [name for name in both if name.startswith('student.pts_bbox_head')]
    assert all(not singles[1][name].any() for name in of_head) and any(both[name].any() for name in of_head)
    if family == 'bevdepth4d':
        assert_close(both, {name: (singles[0][name] + singles[1][name]) / 2 for name in singles[0]})
    else:
        assert_close(both, step_gradients(wrap_model(build(settings), 'cpu', distributed=False), batch))
