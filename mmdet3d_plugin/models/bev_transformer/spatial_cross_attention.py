"""Spatial cross-attention: each BEV cell reads the cameras that see it, around its pillar points (arXiv 2203.17270).

The published code loops over samples and cameras and pads every camera to the one with most cells. Here the visible
pairs of a camera and a cell are one packed list, see :class:`~.pillar_projection.VisiblePairs`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmcv.cnn import xavier_init
from mmcv.cnn.bricks.registry import ATTENTION
from mmcv.runner import BaseModule
from torch import Tensor, nn

from .deformable_sampling import in_full_precision, sample_packed
from .initialisation import init_deformable
from .pillar_projection import VisiblePairs


@ATTENTION.register_module()
class PillarDeformableAttention(BaseModule):
    """Deformable attention of packed queries around the pillar points of each; without output layer or residual.

    Args:
        embed_dims: C.
        num_heads: heads; divides ``embed_dims``.
        num_levels: levels of the image features.
        num_points: points of each head and level; point p lies around pillar point p mod Z.
    """

    def __init__(
        self,
        embed_dims: int = 256,
        num_heads: int = 8,
        num_levels: int = 4,
        num_points: int = 8,
        init_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.num_heads = num_heads
        self.num_levels = num_levels
        self.num_points = num_points
        places = num_heads * num_levels * num_points
        self.sampling_offsets = nn.Linear(embed_dims, places * 2)
        self.attention_weights = nn.Linear(embed_dims, places)
        self.value_proj = nn.Linear(embed_dims, embed_dims)

    def init_weights(self) -> None:
        """A ring of places, equal weights."""
        init_deformable(self, self.num_heads, self.num_points)

    def forward(self, query: Tensor, tokens: Tensor, shapes: Sequence[tuple[int, int]], pairs: VisiblePairs) -> Tensor:
        """What each pair reads.

        Args:
            query: (K, C) of the pairs.
            tokens: (M, S, C) image features, row-major, levels one after the other.
            shapes: (h, w) of each level.
            pairs: of the frame; ``points`` has a number Z of pillar points that divides ``num_points``.

        Returns:
            (K, C), float32 at least.
        """
        count, pillar = pairs.points.shape[:2]
        shape = (count, self.num_heads, self.num_levels, self.num_points)
        weights = in_full_precision(self.attention_weights(query)).view(shape).flatten(2).softmax(-1)
        offsets = in_full_precision(self.sampling_offsets(query))
        offsets = offsets.view(*shape[:3], self.num_points // pillar, pillar, 2)
        sizes = offsets.new_tensor([[width, height] for height, width in shapes]).view(-1, 1, 1, 2)
        locations = pairs.points[:, None, None, None].to(offsets.dtype) + offsets / sizes
        value = self.value_proj(tokens).unflatten(-1, (self.num_heads, -1))
        return sample_packed(value, shapes, locations.view(*shape, 2), weights.view(shape), pairs.image)


@ATTENTION.register_module()
class SpatialCrossAttention(BaseModule):
    """Mean over the cameras that see a cell of what the cell reads there; a cell seen by none keeps its query.

    Args:
        embed_dims, num_heads, num_levels, num_points: of :class:`PillarDeformableAttention`.
        dropout: of the output, before the residual.
    """

    def __init__(
        self,
        embed_dims: int = 256,
        num_heads: int = 8,
        num_levels: int = 4,
        num_points: int = 8,
        dropout: float = 0.1,
        init_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.deformable_attention = PillarDeformableAttention(embed_dims, num_heads, num_levels, num_points)
        self.output_proj = nn.Linear(embed_dims, embed_dims)
        self.dropout = nn.Dropout(dropout)

    def init_weights(self) -> None:
        """The inner attention's own start, and Xavier weights with zero bias at the output."""
        super().init_weights()
        xavier_init(self.output_proj, distribution='uniform')

    def forward(self, query: Tensor, tokens: Tensor, shapes: Sequence[tuple[int, int]], pairs: VisiblePairs) -> Tensor:
        """One attention with its residual; no position is added to the query.

        Args:
            query: (B, Q, C), cells row-major.
            tokens: (B * N, S, C) image features, row-major, levels one after the other.
            shapes: (h, w) of each level.
            pairs: of the frame.

        Returns:
            (B, Q, C). A cell without a camera gets the output layer's bias alone.
        """
        read = self.deformable_attention(query.flatten(0, 1)[pairs.cell], tokens, shapes, pairs)
        summed = read.new_zeros(query.shape[0] * query.shape[1], query.shape[2]).index_add(0, pairs.cell, read)
        mean = (summed * pairs.share).view(query.shape)
        return query + self.dropout(self.output_proj(mean))
