"""Maps as panels: colours, axes, outlines; and what a distiller's panels hold."""

import numpy as np
import pytest
import torch
from helpers.distill_fakes import build, distiller_cfg, level_cfgs, make_batch, write_teacher

from mmdet3d_plugin.structures.boxes import Boxes
from mmdet3d_plugin.visualization import distill_panels
from mmdet3d_plugin.visualization.bev_maps import (
    FALSE_POSITIVE,
    FOREGROUND,
    REST,
    colour_regions,
    colourise,
    map_panel,
    panel_sheet,
)

RANGE = (-10.0, -10.0, 10.0, 10.0)
CLASSES = tuple('abcdefghij')


def brightness(image):
    return image.astype(int).sum(axis=-1)


def test_colours_grow_brighter_up_to_the_highest_value():
    image = colourise(np.array([[-1.0, 0.0, 0.5, 1.0, 7.0]]), highest=1.0)
    assert image.shape == (1, 5, 3) and image.dtype == np.uint8
    light = brightness(image)[0]
    assert light[0] == light[1] < light[2] < light[3] == light[4]
    assert (colourise(np.array([[0.0, 7.0]])) == colourise(np.array([[0.0, 1.0]]))).all()
    assert (colourise(np.zeros((2, 2))) == colourise(np.zeros((2, 2)))[0, 0]).all()


def test_rows_go_upwards_and_columns_to_the_right():
    values = np.zeros((4, 4))
    values[0, 3] = 1.0  # smallest y, largest x
    panel = map_panel(colourise(values), 'caption', RANGE, height=40)
    assert panel.shape == (70, 40, 3)
    light = brightness(panel[-40:])
    assert (light == light.max()).sum() == 100 and (light[-10:, -10:] == light.max()).all()


def test_ground_truth_is_outlined_where_it_is():
    truth = Boxes(np.array([[5.0, 5.0, 0.0, 4.0, 2.0, 1.5, 0.0]]), ['a'])
    plain, outlined = (map_panel(colourise(np.zeros((4, 4))), '', RANGE, 200, truth=boxes) for boxes in (None, truth))
    rows, columns = np.nonzero((plain != outlined).any(axis=-1))
    assert abs(columns.min() - 130) <= 1 and abs(columns.max() - 170) <= 1  # x 3..7 m at 10 px a metre
    assert abs(rows.min() - 30 - 40) <= 1 and abs(rows.max() - 30 - 60) <= 1  # y 6..4 m, under the caption


def test_regions_have_their_colours():
    fg, fp = np.array([[True, False, False]]), np.array([[False, True, False]])
    assert colour_regions(fg, fp).tolist() == [[list(FOREGROUND), list(FALSE_POSITIVE), list(REST)]]


def test_shorter_rows_are_filled_up():
    panel = map_panel(colourise(np.zeros((2, 2))), '', RANGE, 20)
    assert panel_sheet({'one': [panel] * 3, 'two': [panel]}, 'title').shape == (26 * 3 + 2 * 50, 3 * 24, 3)


@pytest.fixture(scope='module')
def teacher(tmp_path_factory):
    return write_teacher(tmp_path_factory.mktemp('teacher'))


@pytest.fixture
def drawn(monkeypatch):
    """Values of every panel by caption, in order of drawing, instead of pictures."""
    seen = []
    monkeypatch.setattr(distill_panels, 'colourise', lambda values, highest=None: values)

    def record(values, caption, *args, **kwargs):
        seen.append((caption.splitlines()[0], np.array(values)))
        return np.zeros((1, 1, 3), dtype=np.uint8)

    monkeypatch.setattr(distill_panels, 'map_panel', record)
    return seen


def test_panels_show_what_the_losses_are_made_of(teacher, drawn):
    model, batch = build(distiller_cfg(teacher)).eval(), make_batch(size=1)
    truth = distill_panels.truth_boxes(batch, CLASSES)
    rows = distill_panels.distill_rows(model, batch, truth, height=16)
    assert [heading.split(':')[0] for heading in rows][:3] == ['backbone1', 'backbone2', 'head']
    assert [len(panels) for panels in rows.values()] == [7, 7, 7, 4]

    views, losses = model.compare(batch), model.forward_train(**batch)
    level = dict(drawn[12:18])  # the head's, without its regions
    head = views.teacher.level('head')[0]
    np.testing.assert_allclose(level['teacher, same scale'], head.abs().mean(0), rtol=1e-6)
    np.testing.assert_allclose(level['attention'].mean(), 1.0, rtol=1e-5)
    total = sum(losses[f'distill.head.loss_{term}'].item() for term in ('fg', 'bg', 'fp'))
    assert (level['loss of a cell (root)'] ** 2).sum() == pytest.approx(total, rel=1e-5)
    heatmaps = dict(drawn[18:])
    assert heatmaps['ground truth'].max() == 1.0
    cross = torch.cat([task['heatmap'] for (task,) in views.cross_preds], dim=1).sigmoid()[0].amax(0)
    np.testing.assert_allclose(heatmaps['cross: teacher head'], cross.detach(), rtol=1e-6)


def test_ground_truth_keeps_centre_size_and_yaw():
    batch = make_batch(size=2, boxes=3)
    truth = distill_panels.truth_boxes(batch, CLASSES)
    boxes = batch['gt_bboxes_3d'][0]
    np.testing.assert_allclose(truth.boxes[:, :3], boxes.gravity_center, rtol=1e-6)
    np.testing.assert_allclose(truth.boxes[:, 3:], boxes.tensor[:, 3:7], rtol=1e-6)
    assert truth.names == [CLASSES[label] for label in batch['gt_labels_3d'][0]]


def test_what_a_distiller_does_not_have_is_left_out(teacher, drawn):
    levels = [dict(level_cfgs()[0])]
    model, batch = build(distiller_cfg(teacher, levels=levels, response=None)).eval(), make_batch(size=1)
    rows = distill_panels.distill_rows(model, batch, distill_panels.truth_boxes(batch, CLASSES), height=16)
    assert [len(panels) for panels in rows.values()] == [7, 2]
    assert [caption for caption, _ in drawn][-2:] == ['ground truth', 'student']
