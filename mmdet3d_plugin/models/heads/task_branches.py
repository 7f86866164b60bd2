"""All task heads of a CenterPoint head on one map, with their one-convolution branches computed together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmdet3d.models.dense_heads.centerpoint_head import SeparateHead
from torch import Tensor, nn


def run_task_heads(
    task_heads: Sequence[SeparateHead], feature: Tensor, only: str | None = None
) -> list[dict[str, Tensor]]:
    """Same values as ``[head(feature) for head in task_heads]``.

    A branch that is a single convolution to one or a few channels is nearly all overhead: forward reads the whole map
    for it and backward writes a gradient as large as the map. Where every branch is of that kind (36 of them in a
    ten-class head), their weights are joined to one convolution and its output is split again.

    Args:
        task_heads: one a task.
        feature: (B, C, H, W).
        only: name of the branch to run; None for all of them. Heads other than SeparateHead always run all.

    Returns:
        per task, branch name -> (B, c, H, W).
    """
    if not all(type(head) is SeparateHead for head in task_heads):
        return [head(feature) for head in task_heads]
    names = [(task, name) for task, head in enumerate(task_heads) for name in head.heads if only in (None, name)]
    branches = [getattr(task_heads[task], name) for task, name in names]
    convs = _joinable(branches)
    values = _run_joined(convs, feature) if convs else [branch(feature) for branch in branches]
    outputs: list[dict[str, Tensor]] = [{} for _ in task_heads]
    for (task, name), value in zip(names, values):
        outputs[task][name] = value
    return outputs


def can_be_joined(task_heads: Sequence[SeparateHead]) -> bool:
    """Whether :func:`run_task_heads` runs all branches as one convolution."""
    return all(type(head) is SeparateHead for head in task_heads) and bool(
        _joinable([getattr(head, name) for head in task_heads for name in head.heads])
    )


def _joinable(branches):
    """The convolutions that are the whole of ``branches`` when all have the same geometry, else None."""
    convs = [_only_convolution(branch) for branch in branches]
    return None if None in convs or len({_geometry(conv) for conv in convs}) > 1 else convs


def _run_joined(convs, feature):
    weight = torch.cat([conv.weight for conv in convs])
    bias = torch.cat([conv.bias for conv in convs])
    first = convs[0]
    joint = nn.functional.conv2d(feature, weight, bias, first.stride, first.padding, first.dilation)
    return joint.split([conv.out_channels for conv in convs], dim=1)


def _only_convolution(branch):
    """The plain nn.Conv2d that is the whole branch, or None."""
    conv = branch[0] if len(branch) == 1 else None
    plain = type(conv) is nn.Conv2d and conv.groups == 1 and conv.bias is not None and conv.padding_mode == 'zeros'
    return conv if plain else None


def _geometry(conv):
    return conv.kernel_size, conv.stride, conv.padding, conv.dilation
