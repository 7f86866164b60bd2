"""Maps of several resolutions to one BEV map: learned cell queries that gather by deformable attention.

This is the LiDAR teachers' encoder of LidarFormer and MVPFormer. Published weights have the same parameters under other
names:

================================================ ====================================
published                                        here
================================================ ====================================
``pts_bbox_head.bev_embedding.weight``           ``bev_encoder.bev_embedding.weight``
``pts_bbox_head.transformer.encoder.layers.*``   ``bev_encoder.layers.*``
``pts_bbox_head.transformer.level_embeds``       none: no output ever depended on it
``pts_bbox_head.*`` (all others)                 the head's, names unchanged
``pts_middle_encoder.*`` and all others          unchanged
================================================ ====================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmcv.cnn.bricks.transformer import BaseTransformerLayer
from mmcv.runner import BaseModule
from mmdet.models.utils import SinePositionalEncoding
from mmdet3d.models.builder import NECKS
from torch import Tensor, nn

from ..bev_transformer.cell_places import cell_places
from ..bev_transformer.deformable_sampling import in_full_precision
from ..bev_transformer.initialisation import init_layers


@NECKS.register_module()
class DeformableBEVEncoder(BaseModule):
    """Each cell of the map has a learned query. A layer is cross-attention, norm, feed-forward net, norm.

    Cross-attention is multi-scale deformable (arXiv 2010.04159) with the cell's centre as reference on every level. It
    sees the query plus a sine encoding of the cell's row (first half of the channels) and column. There is no attention
    among the cells.

    Args:
        bev_size: (rows, columns) of the map. Rows run along y, columns along x, as in the maps that come in, which
            cover the same metres.
        embed_dims: channels of the maps that come in and of the map that goes out.
        num_levels: maps that come in.
        num_layers: layers.
        num_heads, num_points: heads, and places that each head samples on each level.
        feedforward_channels: width of the feed-forward nets.
        dropout: of attention outputs and in the feed-forward nets.
        init_cfg: mmcv initialisation.
    """

    def __init__(
        self,
        bev_size: Sequence[int] = (200, 200),
        embed_dims: int = 256,
        num_levels: int = 4,
        num_layers: int = 6,
        num_heads: int = 8,
        num_points: int = 4,
        feedforward_channels: int = 512,
        dropout: float = 0.1,
        init_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if embed_dims % 4 or embed_dims % num_heads:
            raise ValueError(f'embed_dims must be a multiple of 4 and of num_heads={num_heads}, got {embed_dims}')
        self.bev_size = tuple(int(size) for size in bev_size)
        self.embed_dims = embed_dims
        self.num_levels = num_levels
        self.bev_embedding = nn.Embedding(self.bev_size[0] * self.bev_size[1], embed_dims)
        # published: normalised to 2 pi, places half a cell before the cell's number
        self.positional_encoding = SinePositionalEncoding(embed_dims // 2, normalize=True, offset=-0.5)
        attention = dict(
            type='MultiScaleDeformableAttention',
            embed_dims=embed_dims,
            num_heads=num_heads,
            num_levels=num_levels,
            num_points=num_points,
            dropout=dropout,
        )
        ffn = dict(type='FFN', embed_dims=embed_dims, feedforward_channels=feedforward_channels, ffn_drop=dropout)
        order = ('cross_attn', 'norm', 'ffn', 'norm')
        self.layers = nn.ModuleList(
            BaseTransformerLayer(dict(attention), dict(ffn), order, batch_first=True) for _ in range(num_layers)
        )

    def init_weights(self) -> None:
        """Xavier for all matrices; then attention starts on rings around the cell's centre with equal weights."""
        init_layers(self.layers)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Gather, in float32: half precision would move the places that are read.

        Args:
            maps: ``num_levels`` (B, embed_dims, h, w) maps over the same metres.

        Returns:
            (B, embed_dims, rows, columns).

        Raises:
            ValueError: another number of maps.
        """
        if len(maps) != self.num_levels:
            raise ValueError(f'{len(maps)} maps came in, the encoder was built with num_levels={self.num_levels}')
        with torch.autocast(maps[0].device.type, enabled=False):
            return self._gather([in_full_precision(level) for level in maps])

    def _gather(self, maps):
        batch, device = len(maps[0]), maps[0].device
        tokens = torch.cat([level.flatten(2).transpose(1, 2) for level in maps], dim=1)
        shapes = torch.tensor([level.shape[2:] for level in maps], device=device)
        inputs = dict(
            value=tokens,
            query_pos=self._position(device),
            reference_points=cell_places(self.bev_size, device).unsqueeze(1).expand(batch, -1, self.num_levels, -1),
            spatial_shapes=shapes,
            level_start_index=torch.cat([shapes.new_zeros(1), shapes.prod(1).cumsum(0)[:-1]]),
        )
        query = self.bev_embedding.weight.expand(batch, -1, -1)
        for layer in self.layers:
            query = layer(query, **inputs)
        return query.transpose(1, 2).unflatten(2, self.bev_size).contiguous()

    def _position(self, device):
        """(1, rows * columns, embed_dims) encoding of each cell."""
        mask = torch.zeros(1, *self.bev_size, dtype=torch.bool, device=device)
        return self.positional_encoding(mask).flatten(2).transpose(1, 2)
