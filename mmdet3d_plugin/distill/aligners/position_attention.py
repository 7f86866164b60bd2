"""Global attention that lets every BEV cell gather student evidence from the whole map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from mmcv.cnn import build_activation_layer, build_norm_layer
from torch import Tensor, nn

from ...structures import BEVLevel

FFN_ACTIVATIONS = ('ReLU', 'GELU')


class PositionAttention(nn.Module):
    """Learned queries, one per BEV cell, attend to all cells of the student map.

    x = ReLU(norm(conv3x3(S))) + position map; q = ReLU(conv1x1(query embedding)); y = LN(MHA(q, x, x)), or
    LN(x + MHA(q, x, x)) with ``residual``; out = y + FFN(y) with FFN = linear, ``ffn_act``, linear. It follows
    ScaleKD's attention projector, which has no residual around the attention.

    Queries hold nothing of the student. Without the residual every cell therefore starts as the mean over the map and
    learns first where it is, for which a few hundred iterations do not suffice (docs/experiments.md); with it, a cell
    starts as what the student says there.

    With ``content`` the queries hold the student too, q = ReLU(conv1x1(query embedding + x)): a cell asks by what is
    there, from the start, and not only by where it is. This is this project's own.

    With ``pool`` p the attention works on H/p x W/p tokens, the means of p x p cells. What it gathers is interpolated
    and added to x cell by cell. A map of 200x200 cells would have 40,000 tokens, with p = 8 it has 625. This is this
    project's own extension.

    Args:
        level: size of the student map, kept by the output.
        num_heads: attention heads; must divide the channels.
        softmax_scale: extra factor on the logits, beside 1 / sqrt(channels per head).
        ffn_ratio: hidden channels of the feed-forward net over C.
        ffn_act: activation of the feed-forward net, 'ReLU' as released or 'GELU'.
        norm_cfg: normalisation after the first convolution.
        residual: add x to what the attention gathers.
        content: add x to the query embedding.
        pool: cells a token along rows and columns; above 1 it needs ``residual``.
    """

    def __init__(
        self,
        level: BEVLevel,
        *,
        num_heads: int,
        softmax_scale: float,
        ffn_ratio: int,
        ffn_act: str,
        norm_cfg: Mapping[str, Any],
        residual: bool,
        content: bool = False,
        pool: int = 1,
    ) -> None:
        super().__init__()
        _check_pool(level, pool, residual)
        channels, cells = level.channels, (level.height // pool) * (level.width // pool)
        if channels % num_heads:
            raise ValueError(f'attention over {channels} channels cannot have {num_heads} heads: choose a divisor')
        if ffn_act not in FFN_ACTIVATIONS:
            raise ValueError(f'ffn_act must be one of {FFN_ACTIVATIONS}, got {ffn_act!r}')
        self.num_heads = num_heads
        self.residual = residual
        self.content = content
        self.pool = pool
        self.logit_scale = softmax_scale * (channels // num_heads) ** -0.5
        self.stem = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), build_norm_layer(norm_cfg, channels)[1], nn.ReLU()
        )
        self.position = nn.Parameter(torch.zeros(1, channels, level.height, level.width))
        self.query = nn.Embedding(cells, channels)
        self.query_projection = nn.Sequential(nn.Linear(channels, channels), nn.ReLU())
        self.to_q = nn.Linear(channels, channels)
        self.to_kv = nn.Linear(channels, 2 * channels)
        self.out = nn.Linear(channels, channels)
        self.norm = nn.LayerNorm(channels)
        self.ffn = nn.Sequential(
            nn.Linear(channels, ffn_ratio * channels),
            build_activation_layer(dict(type=ffn_act)),
            nn.Linear(ffn_ratio * channels, channels),
        )

    def _split_heads(self, tokens):
        """(B, T, C) -> (B, heads, T, C / heads)."""
        return tokens.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

    def forward(self, feature: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        local = self.stem(feature) + self.position
        pooled = F.avg_pool2d(local, self.pool) if self.pool > 1 else local
        tokens = pooled.flatten(2).transpose(1, 2)  # (B, T, C), row-major cells
        asked = self.query.weight + tokens if self.content else self.query.weight[None]
        query = self._split_heads(self.to_q(self.query_projection(asked)))
        key, value = (self._split_heads(part) for part in self.to_kv(tokens).chunk(2, dim=-1))
        # one copy per sample: an expanded batch of stride 0 keeps fused CUDA attention kernels from being chosen
        query = query.expand(len(feature), -1, -1, -1).contiguous()
        attended = F.scaled_dot_product_attention(query, key, value, scale=self.logit_scale)
        output = self.out(attended.transpose(1, 2).flatten(2))
        if self.pool > 1:
            output = _upsample(output, pooled.shape[-2:], self.pool)
            tokens = local.flatten(2).transpose(1, 2)
        output = self.norm(tokens + output if self.residual else output)
        output = output + self.ffn(output)
        return output.transpose(1, 2).unflatten(-1, feature.shape[-2:])


def _check_pool(level, pool, residual):
    if pool < 1 or level.height % pool or level.width % pool:
        raise ValueError(f'attention on a map {level} cannot pool {pool} x {pool} cells: choose a common divisor')
    if pool > 1 and not residual:
        raise ValueError(
            f'attention on tokens of {pool} x {pool} cells needs residual=True: without it nothing finer is left'
        )


def _upsample(tokens, size, factor):
    """(B, T, C) tokens of a map of ``size`` -> (B, T * factor^2, C), bilinear between the centres of the tokens."""
    pooled = tokens.transpose(1, 2).unflatten(-1, size)
    return F.interpolate(pooled, scale_factor=factor, mode='bilinear').flatten(2).transpose(1, 2)
