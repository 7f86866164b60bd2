"""Estimated mean outputs against sampling, and the size evidence of heads that really learned either convention."""

import pytest
import torch
from helpers.toy_models import TASKS, toy_head_cfg
from mmcv.cnn import ConvModule
from mmdet3d.core import LiDARInstance3DBoxes
from mmdet3d.models.builder import HEADS
from torch import nn

from mmdet3d_plugin.checkpoints.told_by_weights import (
    TYPICAL_SIZE,
    length_width_agreement,
    mean_outputs,
    size_order_finding,
    task_order_finding,
    task_sizes,
)


def conv_module(channels=6):
    layer = ConvModule(channels, channels, 3, padding=1, norm_cfg=dict(type='BN2d'))
    nn.init.normal_(layer.bn.weight)
    nn.init.normal_(layer.bn.bias)
    return layer


@pytest.mark.parametrize('convolutions', [1, 2])
def test_mean_outputs_are_those_of_sampled_activations(convolutions):
    before, last = conv_module(), nn.Conv2d(6, 3, 3, padding=1)
    branch = nn.Sequential(*([before] if convolutions == 2 else []), last)
    shared = conv_module() if convolutions == 2 else before
    noise = torch.randn(200000, 6)
    activation = (noise * before.bn.weight + before.bn.bias).relu().mean(dim=0)
    flat = activation[None, :, None, None].expand(1, 6, 3, 3)
    expected = nn.functional.conv2d(flat, last.weight, last.bias)[0, :, 0, 0]
    torch.testing.assert_close(mean_outputs(branch, shared).float(), expected, rtol=0.02, atol=0.02)


def train_head(old_convention):
    """A head on a fixed random map, a few steps on boxes of typical sizes."""
    head = HEADS.build(toy_head_cfg(8, share_channels=8))
    head.init_weights()
    names = [name for task in TASKS for name in task['class_names']]
    rows = torch.zeros(10, 9)
    rows[:, :2] = (torch.rand(10, 2) - 0.5) * 20
    rows[:, 3:6] = torch.tensor([TYPICAL_SIZE[name] for name in names])
    if old_convention:
        rows[:, [3, 4]] = rows[:, [4, 3]]
    boxes, labels = [LiDARInstance3DBoxes(rows, 9)], [torch.arange(10)]
    feature = torch.randn(1, 8, 16, 16)
    optimizer = torch.optim.AdamW(head.parameters(), lr=2e-2)
    for _ in range(60):
        losses = head.loss(head([feature]), boxes, labels)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    return head


@pytest.mark.parametrize('old_convention', [False, True])
def test_learned_sizes_tell_the_convention(old_convention):
    head = train_head(old_convention)
    agreement = length_width_agreement(task_sizes(head))
    assert agreement < -0.5 if old_convention else agreement > 0.5
    assert size_order_finding(head).verdict == ('wrong' if old_convention else 'ok')
    assert task_order_finding(head).verdict != 'wrong'


def test_heads_that_do_not_tell():
    linear = HEADS.build(toy_head_cfg(8, norm_bbox=False))
    others = HEADS.build(toy_head_cfg(8, tasks=[dict(class_names=['crane'])], test_cfg=None))
    for head in (linear, others):
        assert task_sizes(head) is None
        assert size_order_finding(head).verdict == task_order_finding(head).verdict == 'unknown'
