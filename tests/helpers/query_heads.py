"""A small DETR head and boxes for it."""

import torch
from mmdet3d.core.bbox import LiDARInstance3DBoxes
from mmdet3d.models.builder import build_head

from helpers.toy_models import TASKS, TOY_RANGE
from mmdet3d_plugin.models.heads.query_predictions import QueryPredictions

CLASSES = [name for task in TASKS for name in task['class_names']]
META = dict(box_type_3d=LiDARInstance3DBoxes)


def query_head_cfg(in_channels=16, num_query=12, num_layers=2, **overrides):
    """DETRBEVHead config with its train_cfg inside."""
    cfg = dict(
        type='DETRBEVHead',
        in_channels=in_channels,
        class_names=list(CLASSES),
        num_query=num_query,
        transformer=dict(type='QueryTransformer', num_layers=num_layers, num_heads=4, feedforward_channels=32),
        bbox_coder=dict(
            type='QueryBoxCoder',
            pc_range=list(TOY_RANGE),
            post_center_range=[-15.0, -15.0, -10.0, 15.0, 15.0, 10.0],
            max_num=num_query,
        ),
        train_cfg=dict(assigner=dict(type='HungarianBoxAssigner')),
    )
    cfg.update(overrides)
    return cfg


def build_query_head(seed=0, **options):
    """A head as training starts it, and with class scores that differ."""
    torch.manual_seed(seed)
    head = build_head(query_head_cfg(**options))
    head.init_weights()
    return head


def boxes_of(rows):
    """``LiDARInstance3DBoxes`` of (x, y, z of the bottom, l, w, h, yaw, vx, vy) rows."""
    return LiDARInstance3DBoxes(torch.tensor(rows, dtype=torch.float32).reshape(-1, 9), box_dim=9)


def random_boxes(count, seed=0):
    """Boxes and labels inside the toy range."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.rand(count, 9, generator=generator)
    rows[:, :2] = rows[:, :2] * 20 - 10
    rows[:, 2] -= 2
    rows[:, 3:6] = rows[:, 3:6] * 3 + 1
    rows[:, 6] = rows[:, 6] * 6 - 3
    labels = torch.randint(0, 10, (count,), generator=generator)
    return LiDARInstance3DBoxes(rows, box_dim=9), labels


def random_predictions(layers=2, batch=2, queries=5, seed=0):
    """Predictions with gradients, boxes inside the toy range."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(layers, batch, queries, 10, generator=generator) - 1
    codes = torch.randn(layers, batch, queries, 10, generator=generator)
    codes[..., :2] *= 5
    return QueryPredictions(logits.requires_grad_(), codes.requires_grad_())
