"""One layer of BEVFormer's encoder: the previous map, the cameras, a feed-forward net."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmcv.cnn import build_norm_layer
from mmcv.cnn.bricks.transformer import FFN
from mmcv.runner import BaseModule, ModuleList
from torch import Tensor

from .pillar_projection import VisiblePairs
from .spatial_cross_attention import SpatialCrossAttention
from .temporal_self_attention import TemporalContext, TemporalSelfAttention


class BEVFormerLayer(BaseModule):
    """Temporal self-attention, norm, spatial cross-attention, norm, feed-forward net, norm.

    Parameters are called as in the published layers: ``attentions.{0,1}``, ``norms.{0,1,2}``, ``ffns.0``.

    Args:
        embed_dims, num_heads: of both attentions.
        num_levels: levels of the image features.
        temporal_points, spatial_points: points of each head and map, or level.
        feedforward_channels: width of the feed-forward net.
        dropout: of the attentions' outputs and in the feed-forward net.
    """

    def __init__(
        self,
        *,
        embed_dims: int,
        num_heads: int,
        num_levels: int,
        temporal_points: int,
        spatial_points: int,
        feedforward_channels: int,
        dropout: float,
        init_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        temporal = TemporalSelfAttention(embed_dims, num_heads, temporal_points, dropout)
        spatial = SpatialCrossAttention(embed_dims, num_heads, num_levels, spatial_points, dropout)
        self.attentions = ModuleList([temporal, spatial])
        self.ffns = ModuleList([FFN(embed_dims, feedforward_channels, ffn_drop=dropout)])
        self.norms = ModuleList([build_norm_layer(dict(type='LN'), embed_dims)[1] for _ in range(3)])

    def forward(
        self,
        query: Tensor,
        position: Tensor,
        context: TemporalContext,
        tokens: Tensor,
        shapes: Sequence[tuple[int, int]],
        pairs: VisiblePairs,
    ) -> Tensor:
        """(B, Q, C) query -> (B, Q, C); see the two attentions for the arguments."""
        temporal, spatial = self.attentions
        query = self.norms[0](temporal(query, position, context))
        query = self.norms[1](spatial(query, tokens, shapes, pairs))
        return self.norms[2](self.ffns[0](query))
