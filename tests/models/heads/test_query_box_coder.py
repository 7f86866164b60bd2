"""Ten numbers a box: there and back, centres as fractions of the range, what is kept as a detection."""

import math

import pytest
import torch
from helpers.query_heads import boxes_of, random_boxes
from helpers.toy_models import TOY_RANGE
from mmdet.core.bbox.builder import build_bbox_coder
from mmdet3d.core.bbox import LiDARInstance3DBoxes


def coder(**options):
    return build_bbox_coder(dict(type='QueryBoxCoder', pc_range=list(TOY_RANGE), max_num=4, **options))


def test_a_box_by_hand():
    """z is that of the gravity centre: bottom at -1, 2 m high."""
    code = coder().encode(boxes_of([[3.0, -4.0, -1.0, 4.0, 1.5, 2.0, math.pi / 6, 1.0, -2.0]]))
    expected = [3.0, -4.0, math.log(4.0), math.log(1.5), 0.0, math.log(2.0), 0.5, math.sqrt(0.75), 1.0, -2.0]
    torch.testing.assert_close(code, torch.tensor([expected]))


def test_there_and_back():
    boxes, _ = random_boxes(20)
    rows = coder().boxes(coder().encode(boxes))
    torch.testing.assert_close(rows[:, :3], boxes.gravity_center)
    torch.testing.assert_close(rows[:, 3:], boxes.tensor[:, 3:])


def test_boxes_without_velocity_and_none_at_all():
    without = LiDARInstance3DBoxes(torch.ones(2, 7), box_dim=7)
    code = coder().encode(without)
    assert code[:, 8:].isnan().all() and code[:, :8].isfinite().all()
    assert coder().encode(boxes_of([])).shape == (0, 10)


def test_centres_are_fractions_of_the_range():
    """The toy range is +-12.8 m along x and y, -5..3 m along z; the other numbers pass through."""
    steps = torch.arange(10.0)[None]
    codes = coder().place(steps, torch.tensor([[0.0, 0.75, 0.5]]))
    assert codes.tolist() == [[pytest.approx(v, abs=1e-5) for v in (-12.8, 6.4, 2, 3, -1.0, 5, 6, 7, 8, 9)]]


def detect(logits, xs, **options):
    codes = torch.zeros(1, len(xs), 10)
    codes[0, :, 0], codes[0, :, 7] = torch.tensor(xs), 1.0
    own = {key: options.pop(key) for key in ('score_threshold', 'temperature') if key in options}
    ((boxes, scores, labels),) = coder(**options).decode(torch.tensor([logits]), codes, **own)
    return boxes[:, 0].tolist(), scores, labels.tolist()


def test_the_best_pairs_of_query_and_class():
    """Query 1 answers twice, under both its classes."""
    xs, scores, labels = detect([[-3.0, -2.0, -9.0], [2.0, -9.0, 1.0], [-9.0, -8.0, -2.5]], [1.0, 2.0, 3.0])
    assert xs == [2.0, 2.0, 1.0, 3.0] and labels == [0, 2, 1, 2]
    torch.testing.assert_close(scores, torch.tensor([2.0, 1.0, -2.0, -2.5]).sigmoid())


def test_centres_outside_the_post_range_are_dropped_and_edges_kept():
    limits = [-2.0, -2.0, -2.0, 2.0, 2.0, 2.0]
    logits = [[1.0, -9.0], [0.5, -9.0], [0.0, -9.0]]
    assert detect(logits, [2.1, 2.0, -2.0], post_center_range=limits, score_threshold=0.1)[0] == [2.0, -2.0]


def test_scores_are_sharpened_but_ordered_by_logits():
    """At temperature 0.01 both scores round to exactly 1."""
    xs, scores, _ = detect([[30.0, -50.0], [31.0, -50.0]], [1.0, 2.0], temperature=0.01, score_threshold=0.5)
    assert xs == [2.0, 1.0] and scores.tolist() == [1.0, 1.0]


def test_threshold_of_the_call_replaces_the_coders():
    logits = [[0.0, -9.0], [-1.0, -9.0]]
    assert detect(logits, [1.0, 2.0], score_threshold=0.3)[0] == [1.0]
    assert sorted(detect(logits, [1.0, 2.0], score_threshold=0.0)[0]) == [1.0, 1.0, 2.0, 2.0]
    own = coder(score_threshold=0.3)
    codes = torch.zeros(1, 2, 10)
    assert len(own.decode(torch.tensor([logits]), codes)[0][0]) == 1
    assert len(own.decode(torch.tensor([logits]), codes, score_threshold=0.6)[0][0]) == 0
