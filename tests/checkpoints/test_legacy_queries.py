"""Query heads for boxes before mmdet3d 1.0: converted weights say the same boxes, and training sees the same losses."""

import copy
import math

import torch
from helpers import legacy
from helpers.query_heads import META, build_query_head, query_head_cfg, random_boxes
from helpers.toy_models import toy_centerpoint_cfg
from mmdet3d.core.bbox import LiDARInstance3DBoxes
from mmdet3d.models import build_detector

from mmdet3d_plugin.checkpoints.legacy_conversion import plan_conversion
from mmdet3d_plugin.checkpoints.legacy_queries import convert_old_box_rows


def old_boxes(boxes):
    """The same boxes as columns of the old convention: w, l, h and yaw_old = -yaw - pi/2."""
    rows = boxes.tensor.clone()
    rows[:, [3, 4]] = rows[:, [4, 3]]
    rows[:, 6] = -rows[:, 6] - math.pi / 2
    return LiDARInstance3DBoxes(rows, box_dim=9)


def old_and_converted():
    """A head whose outputs are old boxes, and its converted twin."""
    old = build_query_head().eval()
    for branch in old.reg_branches:
        torch.nn.init.normal_(branch[-1].weight, std=0.5)
        torch.nn.init.normal_(branch[-1].bias, std=0.5)
    new = copy.deepcopy(old)
    new.load_state_dict(convert_old_box_rows(old.state_dict(), prefix=''))
    return old, new


def test_converted_weights_say_the_same_boxes():
    old, new = old_and_converted()
    bev_map = torch.randn(1, 16, 8, 8)
    with torch.no_grad():
        theirs, ours = (head.decode(head.predict(bev_map), [META])[0] for head in (old, new))
    expected = old_boxes(theirs.boxes).tensor  # the change of convention is its own inverse
    turn = (ours.boxes.tensor[:, 6] - expected[:, 6]) / (2 * math.pi)
    torch.testing.assert_close(turn, turn.round(), atol=1e-5, rtol=0)
    keep = [0, 1, 2, 3, 4, 5, 7, 8]
    torch.testing.assert_close(ours.boxes.tensor[:, keep], expected[:, keep], rtol=1e-4, atol=1e-5)
    assert torch.equal(ours.scores, theirs.scores) and len(ours.scores) > 3


def test_losses_are_the_same_in_both_conventions():
    old, new = old_and_converted()
    bev_map = torch.randn(2, 16, 8, 8)
    boxes, labels = zip(random_boxes(4), random_boxes(2, seed=1))
    theirs = old.loss(old.predict(bev_map), [old_boxes(box) for box in boxes], labels, [META] * 2)
    ours = new.loss(new.predict(bev_map), boxes, labels, [META] * 2)
    mixed = old.loss(old.predict(bev_map), boxes, labels, [META] * 2)
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, rtol=1e-5, atol=1e-5)
    assert abs(mixed['loss_bbox'] - ours['loss_bbox']) > 1e-2


def test_rows_by_hand_and_nothing_else_changes():
    state = {
        'pts_bbox_head.reg_branches.3.4.bias': torch.arange(10.0),
        'pts_bbox_head.reg_branches.3.2.bias': torch.arange(10.0),
        'pts_bbox_head.reg_branches.3.2.weight': torch.zeros(10, 4),
        'pts_bbox_head.reg_branches.3.4.weight': torch.arange(10.0)[:, None],
        'pts_bbox_head.cls_branches.3.4.bias': torch.arange(10.0),
        'other.reg_branches.3.4.bias': torch.arange(10.0),
    }
    before = {key: value.clone() for key, value in state.items()}
    converted = convert_old_box_rows(state)
    expected = torch.tensor([0.0, 1, 3, 2, 4, 5, -7, -6, 8, 9])
    assert torch.equal(converted['pts_bbox_head.reg_branches.3.4.bias'], expected)
    assert torch.equal(converted['pts_bbox_head.reg_branches.3.4.weight'], expected[:, None])
    for key in state:
        assert torch.equal(state[key], before[key])
        assert key.startswith('pts_bbox_head.reg_branches.3.4') or converted[key] is state[key]
    twice = convert_old_box_rows(converted)
    assert all(torch.equal(twice[key], value) for key, value in before.items())


def test_the_converter_plans_it():
    """Inside a detector, with the code weights that published students hold beside their head."""
    head = query_head_cfg(48)
    train_cfg = head.pop('train_cfg')
    cfg = dict(toy_centerpoint_cfg(), pts_bbox_head=head, train_cfg=dict(pts=train_cfg), test_cfg=None)
    model = build_detector(cfg)
    old = legacy.random_weights(model.state_dict())
    plan = plan_conversion(dict(old, **{'pts_bbox_head.code_weights': torch.ones(10)}), model)
    assert not plan.unmapped and not plan.missing
    expected = convert_old_box_rows(old)
    assert all(torch.equal(plan.state[key], value) for key, value in expected.items())
    assert 'pts_bbox_head.code_weights left out: follows from the config' in plan.lines
    changed = [line for line in plan.lines if '(w, l) -> (l, w)' in line]
    assert len(changed) == 4  # weight and bias of two layers
