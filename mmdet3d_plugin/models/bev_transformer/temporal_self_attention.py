"""Temporal self-attention: each BEV cell reads the previous frame's map and the current one (arXiv 2203.17270)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from mmcv.cnn.bricks.registry import ATTENTION
from mmcv.runner import BaseModule
from torch import Tensor, nn

from .deformable_sampling import in_full_precision, sample_maps
from .initialisation import init_deformable

_MAPS = 2  # previous and current


class TemporalContext(NamedTuple):
    """What temporal attention reads beside its query; the same in every layer of a frame.

    Attributes:
        previous: (B, Q, C) tokens of the previous frame's map, None when no sample has one.
        current: (B, Q, C) tokens of the current map: what the first layer's query was.
        exists: (B,) bool, which samples have a previous map.
        references: (B or 1, 2, Q, 2) places in the previous and in the current map, x and y as fractions.
        size: (height, width) of the maps.
    """

    previous: Tensor | None
    current: Tensor
    exists: Tensor
    references: Tensor
    size: tuple[int, int]


@ATTENTION.register_module()
class TemporalSelfAttention(BaseModule):
    """Deformable attention over two maps of one level each, whose outputs are averaged.

    Offsets and weights come from the previous map and the positioned query together; the softmax runs over the points
    of each map. A sample without previous map takes its own query for both maps.

    Args:
        embed_dims: C.
        num_heads: heads; divides ``embed_dims``.
        num_points: points of each head and map.
        dropout: of the output, before the residual.
    """

    def __init__(
        self,
        embed_dims: int = 256,
        num_heads: int = 8,
        num_points: int = 4,
        dropout: float = 0.1,
        init_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.num_heads = num_heads
        self.num_points = num_points
        places = num_heads * _MAPS * num_points
        self.sampling_offsets = nn.Linear(_MAPS * embed_dims, places * 2)
        self.attention_weights = nn.Linear(_MAPS * embed_dims, places)
        self.value_proj = nn.Linear(embed_dims, embed_dims)
        self.output_proj = nn.Linear(embed_dims, embed_dims)
        self.dropout = nn.Dropout(dropout)

    def init_weights(self) -> None:
        """A ring of places, equal weights."""
        init_deformable(self, self.num_heads, self.num_points)

    def forward(self, query: Tensor, position: Tensor, context: TemporalContext) -> Tensor:
        """One attention with its residual.

        Args:
            query: (B, Q, C), cells row-major.
            position: (B or 1, Q, C) added to the query where it decides where to look.
            context: of the frame.

        Returns:
            (B, Q, C).
        """
        maps = self._maps(query, context)
        batch, _, queries, channels = maps.shape
        asking = torch.cat([maps[:, 0], query + position], dim=-1)
        value = self.value_proj(maps).view(batch * _MAPS, queries, self.num_heads, -1)
        locations, weights = self._places(asking, context)
        read = sample_maps(value, [context.size], locations.flatten(0, 1), weights.flatten(0, 1))
        read = read.view(batch, _MAPS, queries, channels).mean(dim=1)
        return query + self.dropout(self.output_proj(read))

    @staticmethod
    def _maps(query, context):
        """(B, 2, Q, C) previous and current map of each sample."""
        if context.previous is None:
            return query.unsqueeze(1).expand(-1, _MAPS, -1, -1)
        pair = torch.stack([context.previous.to(query.dtype), context.current.to(query.dtype)], dim=1)
        return torch.where(context.exists.view(-1, 1, 1, 1), pair, query.unsqueeze(1))

    def _places(self, asking, context):
        """Locations (B, 2, Q, heads, 1, points, 2) as fractions, and weights without the last axis."""
        batch, queries, _ = asking.shape
        shape = (batch, queries, self.num_heads, _MAPS, 1, self.num_points)
        weights = in_full_precision(self.attention_weights(asking)).view(shape).softmax(-1).permute(0, 3, 1, 2, 4, 5)
        offsets = in_full_precision(self.sampling_offsets(asking)).view(*shape, 2).permute(0, 3, 1, 2, 4, 5, 6)
        height, width = context.size
        references = context.references[:, :, :, None, None, None].to(offsets.dtype)
        return references + offsets / offsets.new_tensor([width, height]), weights
