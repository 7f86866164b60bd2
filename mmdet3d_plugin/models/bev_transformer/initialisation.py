"""How transformers with deformable attention start (arXiv 2010.04159)."""

import math
from typing import cast

import torch
from mmcv.cnn import constant_init, xavier_init
from mmcv.ops import MultiScaleDeformableAttention
from torch import nn


def init_matrices(part: nn.Module) -> None:
    """Xavier for all matrices in ``part``; biases and norms stay."""
    for parameter in part.parameters():
        if parameter.dim() > 1:
            nn.init.xavier_uniform_(parameter)


def init_layers(part: nn.Module) -> None:
    """:func:`init_matrices`; then mmcv's deformable attentions start as :func:`init_deformable` says."""
    init_matrices(part)
    for module in part.modules():
        if isinstance(module, MultiScaleDeformableAttention):
            module.init_weights()


def init_deformable(attention: nn.Module, heads: int, points: int) -> None:
    """Same places and equal weights for every query; heads spread over a ring, their points step outwards.

    Head h starts with offsets along (cos, sin)(2 pi h / heads), divided by its larger absolute component, times 1, 2,
    ... cells for the points, the same for every map and level.

    Args:
        attention: has the linear layers ``sampling_offsets`` (outputs: heads, maps and levels, points, 2),
            ``attention_weights`` and ``value_proj``, and may have ``output_proj``.
        heads, points: of one map and level.
    """
    angles = torch.arange(heads, dtype=torch.float32) * (2 * math.pi / heads)
    directions = torch.stack([angles.cos(), angles.sin()], dim=-1)
    directions = directions / directions.abs().max(-1, keepdim=True)[0]
    ring = directions.view(heads, 1, 1, 2) * torch.arange(1, points + 1).view(1, 1, points, 1)
    constant_init(attention.sampling_offsets, 0.0)
    bias = cast(nn.Linear, attention.sampling_offsets).bias
    with torch.no_grad():
        bias.copy_(ring.expand(-1, bias.numel() // ring.numel(), -1, -1).flatten())
    constant_init(attention.attention_weights, 0.0)
    for name in ('value_proj', 'output_proj'):
        if hasattr(attention, name):
            xavier_init(getattr(attention, name), distribution='uniform')
