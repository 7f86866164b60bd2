"""Object queries that look at a BEV map and move their boxes layer by layer (Deformable DETR, 2010.04159; BEVFormer,
2203.17270)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from mmcv.cnn.bricks.registry import TRANSFORMER_LAYER_SEQUENCE
from mmcv.cnn.bricks.transformer import TransformerLayerSequence
from mmcv.runner import BaseModule
from mmdet.models.utils.builder import TRANSFORMER
from mmdet.models.utils.transformer import inverse_sigmoid
from torch import Tensor, nn

from .initialisation import init_layers

_CENTRE = [0, 1, 4]  # places of x, y and z in what a regression branch gives


class RefinedQueries(NamedTuple):
    """What the decoder says, one entry a layer.

    Attributes:
        hidden: (L, B, Q, C) queries after each layer.
        steps: (L, B, Q, code) what the layer's regression branch makes of them.
        centres: (L, B, Q, 3) x, y, z of the boxes in [0, 1] of the range: the reference point, moved by the step.
    """

    hidden: Tensor
    steps: Tensor
    centres: Tensor


@TRANSFORMER_LAYER_SEQUENCE.register_module()
class BoxRefiningDecoder(TransformerLayerSequence):
    """Decoder layers, each of which starts where the layer before has moved the boxes to.

    r_{i+1} = sigmoid(inverse_sigmoid(r_i) + step_i[x, y, z]), detached, so that a layer's loss teaches its own
    regression branch and not those before it. The very first reference keeps its gradient.
    """

    def forward(
        self,
        content: Tensor,
        position: Tensor,
        bev_map: Tensor,
        reference: Tensor,
        branches: Sequence[nn.Module],
        apart: Tensor | None = None,
    ) -> RefinedQueries:
        """Run all layers.

        Args:
            content, position: (B, Q, C) float32, what a query holds and where it stands.
            bev_map: (B, C, H, W) float32, rows along y, columns along x.
            reference: (B, Q, 3) x, y, z in [0, 1] of the range.
            branches: regression branch of each layer.
            apart: (Q, Q) bool, pairs of queries that do not see each other; None when all do.
        """
        tokens = bev_map.flatten(2).transpose(1, 2)
        shared = dict(
            spatial_shapes=torch.tensor([bev_map.shape[-2:]], device=bev_map.device),
            level_start_index=torch.zeros(1, dtype=torch.long, device=bev_map.device),
            attn_masks=[apart, None],
        )
        hidden, steps, centres = [], [], []
        for layer, branch in zip(self.layers, branches):
            points = reference[:, :, None, :2]
            content = layer(content, value=tokens, query_pos=position, reference_points=points, **shared)
            step = branch(content)
            centre = (inverse_sigmoid(reference) + step[..., _CENTRE]).sigmoid()
            reference = centre.detach()
            hidden.append(content)
            steps.append(step)
            centres.append(centre)
        return RefinedQueries(torch.stack(hidden), torch.stack(steps), torch.stack(centres))


def decoder_layer(
    embed_dims: int, num_heads: int, num_points: int, feedforward_channels: int, dropout: float
) -> dict[str, Any]:
    """Config of a post-norm layer of mmcv: self-attention, deformable cross-attention to one map, feed-forward net."""
    shared = dict(embed_dims=embed_dims, num_heads=num_heads)
    drop = dict(type='Dropout', drop_prob=dropout)
    return dict(
        type='BaseTransformerLayer',
        batch_first=True,
        attn_cfgs=[
            dict(type='MultiheadAttention', attn_drop=dropout, dropout_layer=drop, **shared),
            dict(type='MultiScaleDeformableAttention', num_levels=1, num_points=num_points, dropout=dropout, **shared),
        ],
        ffn_cfgs=dict(
            type='FFN', embed_dims=embed_dims, feedforward_channels=feedforward_channels, num_fcs=2, ffn_drop=dropout
        ),
        operation_order=('self_attn', 'norm', 'cross_attn', 'norm', 'ffn', 'norm'),
    )


@TRANSFORMER.register_module()
class QueryTransformer(BaseModule):
    """From queries to refined queries; names of weights are those of published BEVFormer checkpoints.

    Args:
        embed_dims: C, channels of queries and BEV map.
        num_layers: L, decoder layers.
        num_heads: of both attentions; divides C.
        num_points: sampling points a head.
        feedforward_channels: hidden channels of the feed-forward nets.
        dropout: after attentions and inside feed-forward nets.
        init_cfg: mmcv initialisation.
    """

    def __init__(
        self,
        *,
        embed_dims: int,
        num_layers: int = 6,
        num_heads: int = 8,
        num_points: int = 4,
        feedforward_channels: int = 512,
        dropout: float = 0.1,
        init_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if embed_dims % num_heads:
            raise ValueError(f'{embed_dims} channels cannot have {num_heads} attention heads: choose a divisor')
        layer = decoder_layer(embed_dims, num_heads, num_points, feedforward_channels, dropout)
        self.decoder = BoxRefiningDecoder(transformerlayers=layer, num_layers=num_layers)
        self.reference_points = nn.Linear(embed_dims, 3)

    def init_weights(self) -> None:
        """Xavier for all matrices; then the deformable attentions start as rings of points around the reference."""
        init_layers(self)
        nn.init.zeros_(self.reference_points.bias)

    def forward(
        self, queries: Tensor, bev_map: Tensor, branches: Sequence[nn.Module], num_groups: int = 1
    ) -> RefinedQueries:
        """Refine the queries on a map.

        Args:
            queries: (Q, 2C) learned: position, then content.
            bev_map: (B, C, H, W) float32.
            branches: L regression branches, (..., C) -> (..., code), whose entries 0, 1, 4 move x, y, z.
            num_groups: sets of Q / num_groups queries that do not see each other.
        """
        position, content = queries.expand(bev_map.shape[0], -1, -1).chunk(2, dim=-1)
        reference = self.reference_points(position).sigmoid()
        apart = _other_group(len(queries), num_groups, queries.device) if num_groups > 1 else None
        return self.decoder(content, position, bev_map, reference, branches, apart)


def _other_group(num_queries, num_groups, device):
    group = torch.arange(num_queries, device=device) // (num_queries // num_groups)
    return group[:, None] != group
