"""Joined task branches against one convolution after the other."""

import copy

import pytest
import torch
from helpers.toy_models import toy_head_cfg
from mmdet3d.models.builder import HEADS
from torch import nn

from mmdet3d_plugin.models.heads.task_branches import run_task_heads

WIDTH = 16


def head_with(num_convs, kernel):
    cfg = toy_head_cfg(8, share_channels=WIDTH)
    cfg['common_heads'] = {name: (channels, num_convs) for name, (channels, _) in cfg['common_heads'].items()}
    cfg['num_heatmap_convs'] = num_convs
    cfg['separate_head'] = dict(cfg['separate_head'], final_kernel=kernel)
    torch.manual_seed(0)
    head = HEADS.build(copy.deepcopy(cfg))
    for parameter in head.parameters():
        nn.init.normal_(parameter, std=0.2)
    return head.double()


def gradients(head, feature, outputs):
    """Of a scalar that every value of every branch moves differently."""
    total = sum(
        (value * (task + 2) * (len(name) + value)).sum()
        for task, out in enumerate(outputs)
        for name, value in out.items()
    )
    wanted = [feature, *head.task_heads.parameters()]
    return torch.autograd.grad(total, wanted)


@pytest.mark.parametrize('num_convs,kernel', [(1, 1), (1, 3), (2, 3)])
def test_same_values_and_gradients_as_one_by_one(num_convs, kernel):
    head = head_with(num_convs, kernel).eval()
    feature = torch.randn(2, WIDTH, 6, 5, dtype=torch.double, requires_grad=True)
    joined, separate = run_task_heads(head.task_heads, feature), [task(feature) for task in head.task_heads]
    assert [list(out) for out in joined] == [list(out) for out in separate]
    for ours, theirs in zip(joined, separate):
        for name in theirs:
            torch.testing.assert_close(ours[name], theirs[name])
    for ours, theirs in zip(gradients(head, feature, joined), gradients(head, feature, separate)):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize('num_convs,calls', [(1, 1), (2, 6 * 6 * 2)])
def test_one_convolution_where_every_branch_is_one(num_convs, calls, monkeypatch):
    head, seen = head_with(num_convs, 1).eval(), []
    monkeypatch.setattr(
        nn.functional, 'conv2d', lambda *args, original=nn.functional.conv2d: seen.append(args) or original(*args)
    )
    run_task_heads(head.task_heads, torch.randn(1, WIDTH, 4, 4, dtype=torch.double))
    assert len(seen) == calls


def test_a_foreign_task_head_keeps_all_from_being_joined():
    class Doubled(nn.Module):
        def forward(self, feature):
            return dict(heatmap=feature * 2)

    plain = head_with(1, 1).task_heads[0]
    feature = torch.randn(1, WIDTH, 3, 3, dtype=torch.double)
    ours, foreign = run_task_heads([plain, Doubled()], feature)
    assert torch.equal(ours['heatmap'], plain(feature)['heatmap']) and set(ours) == set(plain.heads)
    assert torch.equal(foreign['heatmap'], feature * 2)
