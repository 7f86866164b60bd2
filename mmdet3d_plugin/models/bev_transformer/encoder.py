"""BEVFormer's encoder: image features of N cameras and the previous BEV map -> BEV map (arXiv 2203.17270)."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmcv.runner import BaseModule, ModuleList
from mmdet.models.utils import LearnedPositionalEncoding
from mmdet3d.models.builder import NECKS
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ...structures import BEVGrid, BEVLevel
from .cell_places import cell_places
from .encoder_layer import BEVFormerLayer
from .initialisation import init_matrices
from .pillar_projection import VisiblePairs, find_visible, pillar_points
from .previous_map import ALIGNMENTS, Motion, PreviousMap
from .temporal_self_attention import TemporalContext

CAN_BUS_NUMBERS = 18


@NECKS.register_module()
class BEVFormerEncoder(BaseModule):
    """A learned query per BEV cell, refined by layers that look at the previous map and into the cameras.

    Args:
        point_cloud_range: (x_min, y_min, z_min, x_max, y_max, z_max), metres: the BEV map, and heights of the pillars.
        bev_size: (rows, columns) of the map.
        embed_dims: channels of the image features and of the map.
        num_layers: layers.
        num_heads: heads of both attentions.
        num_levels: levels of the image features.
        num_cams: cameras; each has an embedding, so their order is part of what is learned.
        feedforward_channels: width of the feed-forward nets.
        pillar_points: points above each cell that are projected into the images.
        temporal_points: points of each head and map of the temporal attention.
        spatial_points: points of each head and level of the spatial one, a multiple of ``pillar_points``.
        dropout: in the layers.
        use_can_bus: add an embedding of the motion vector to every query.
        alignment: how the previous map comes into the current frame. 'warp': resampled by the exact motion.
            'released': turned to nearest cells, references shifted, as published weights expect.
        shift_both: with 'released', shift the references into the current map too, as published weights expect.
        with_cp: recompute the layers' activations in the backward pass instead of keeping them.

    Raises:
        ValueError: numbers that do not fit, or an unknown alignment.
    """

    def __init__(
        self,
        *,
        point_cloud_range: Sequence[float],
        bev_size: Sequence[int] = (200, 200),
        embed_dims: int = 256,
        num_layers: int = 6,
        num_heads: int = 8,
        num_levels: int = 4,
        num_cams: int = 6,
        feedforward_channels: int = 512,
        pillar_points: int = 4,
        temporal_points: int = 4,
        spatial_points: int = 8,
        dropout: float = 0.1,
        use_can_bus: bool = True,
        alignment: str = 'warp',
        shift_both: bool = False,
        with_cp: bool = False,
        init_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        _check(embed_dims, num_heads, num_layers, pillar_points, spatial_points, alignment, shift_both)
        self.point_cloud_range = tuple(float(value) for value in point_cloud_range)
        self.grid = BEVGrid.from_range(self.point_cloud_range, *bev_size)
        self.level = BEVLevel(embed_dims, self.grid)
        self.num_levels = num_levels
        self.num_cams = num_cams
        self.pillar_points = pillar_points
        self.alignment = alignment
        self.shift_both = shift_both
        self.with_cp = with_cp
        rows, columns = self.grid.size
        self.bev_embedding = nn.Embedding(rows * columns, embed_dims)
        # init_cfg=None: torch's normal start, which the published embeddings show, not mmdet's uniform one
        self.positional_encoding = LearnedPositionalEncoding(embed_dims // 2, rows, columns, init_cfg=None)
        self.level_embeds = nn.Parameter(torch.randn(num_levels, embed_dims))
        self.cams_embeds = nn.Parameter(torch.randn(num_cams, embed_dims))
        self.can_bus_mlp = _can_bus_mlp(embed_dims) if use_can_bus else None
        layer = functools.partial(
            BEVFormerLayer, embed_dims=embed_dims, num_heads=num_heads, num_levels=num_levels,
            temporal_points=temporal_points, spatial_points=spatial_points, feedforward_channels=feedforward_channels,
            dropout=dropout,
        )  # fmt: skip
        self.layers = ModuleList([layer() for _ in range(num_layers)])

    @property
    def reads_can_bus(self) -> bool:
        """Whether a frame cannot do without its motion vector."""
        return self.can_bus_mlp is not None or self.alignment == 'released'

    def init_weights(self) -> None:
        """Xavier weights in layers and motion net; then the attentions' own start; all embeddings stay normal."""
        init_matrices(self.layers)
        if self.can_bus_mlp is not None:
            init_matrices(self.can_bus_mlp)
        super().init_weights()

    def find_visible(self, projection: Tensor, image_size: Sequence[int]) -> VisiblePairs:
        """Visible pairs of a frame, see :func:`.pillar_projection.find_visible`."""
        z_range = (self.point_cloud_range[2], self.point_cloud_range[5])
        pillars = pillar_points(self.grid, z_range, self.pillar_points, projection.device)
        return find_visible(pillars, projection, image_size)

    def align(self, bev: Tensor, exists: Tensor, motion: Motion) -> PreviousMap:
        """The previous frame's (B, C, H, W) map in the current frame; ``exists`` (B,) bool says who has one."""
        return ALIGNMENTS[self.alignment](bev, exists, motion, self.grid)

    def forward(
        self,
        features: Sequence[Tensor],
        pairs: VisiblePairs,
        can_bus: Tensor | None = None,
        previous: PreviousMap | None = None,
    ) -> list[Tensor]:
        """One frame.

        Args:
            features: L maps (B, N, C, h, w), fine to coarse.
            pairs: of the frame, from :meth:`find_visible`.
            can_bus: (B, 18) motion vector; not read with ``use_can_bus=False``.
            previous: from :meth:`align`; None when no sample has a previous map.

        Returns:
            The map (B, C, rows, columns) after each layer.

        Raises:
            ValueError: numbers of levels, cameras or channels that are not those of the encoder.
        """
        tokens, shapes = self._tokens(features)
        batch = features[0].shape[0]
        query = self.bev_embedding.weight.unsqueeze(0).expand(batch, -1, -1)
        if self.can_bus_mlp is not None:
            query = query + _embed_motion(self.can_bus_mlp, can_bus)
        position = self.positional_encoding(query.new_zeros(1, *self.grid.size)).flatten(2).transpose(1, 2)
        context = self._context(query, previous)
        maps = []
        for layer in self.layers:
            inputs = (query, position, context, tokens, shapes, pairs)
            recompute = self.with_cp and torch.is_grad_enabled()
            query = checkpoint(layer, *inputs, use_reentrant=False) if recompute else layer(*inputs)
            maps.append(query.transpose(1, 2).unflatten(2, self.grid.size))
        return maps

    def _tokens(self, features):
        """(B * N, S, C) tokens with the embeddings of their camera and level, and (h, w) of each level."""
        given = (len(features), *features[0].shape[1:3])
        if given != (self.num_levels, self.num_cams, self.level.channels):
            raise ValueError(
                f'the BEV encoder was built for {self.num_levels} level(s), {self.num_cams} camera(s) and '
                f'{self.level.channels} channels but is fed {given[0]}, {given[1]} and {given[2]}: make num_levels and '
                f'embed_dims those of img_neck, and num_cams the number of cameras of the pipeline'
            )
        cameras = self.cams_embeds.unsqueeze(1)
        tokens = [
            level.flatten(3).transpose(2, 3) + (cameras + embedding).to(level.dtype)
            for level, embedding in zip(features, self.level_embeds)
        ]
        return torch.cat(tokens, dim=2).flatten(0, 1), [tuple(level.shape[-2:]) for level in features]

    def _context(self, query, previous):
        grid = self.grid
        references = cell_places(grid.size, query.device).expand(1, 2, -1, -1)
        if previous is None:
            nobody = torch.zeros(len(query), dtype=torch.bool, device=query.device)
            return TemporalContext(None, query, nobody, references, grid.size)
        both = torch.stack([previous.shift, previous.shift * float(self.shift_both)], dim=1)
        tokens = previous.bev.flatten(2).transpose(1, 2)
        return TemporalContext(tokens, query, previous.exists, references + both.unsqueeze(2), grid.size)


def _check(embed_dims, num_heads, num_layers, pillar_points, spatial_points, alignment, shift_both):
    if embed_dims % num_heads or embed_dims % 2:
        raise ValueError(f'embed_dims={embed_dims} must be even and a multiple of num_heads={num_heads}')
    if num_layers < 1:
        raise ValueError(f'the BEV encoder needs at least one layer, got num_layers={num_layers}')
    if spatial_points % pillar_points:
        raise ValueError(f'spatial_points={spatial_points} must be a multiple of pillar_points={pillar_points}')
    if alignment not in ALIGNMENTS:
        raise ValueError(f'alignment must be one of {sorted(ALIGNMENTS)}, got {alignment!r}')
    if shift_both and alignment != 'released':
        raise ValueError(f"shift_both=True goes with alignment='released': nothing is shifted with {alignment!r}")


def _embed_motion(mlp, can_bus):
    """(B, 1, C); metres, radians and degrees keep all their digits."""
    with torch.autocast(can_bus.device.type, enabled=False):
        return mlp(can_bus.to(mlp[0].weight.dtype)).unsqueeze(1)


def _can_bus_mlp(embed_dims):
    """Parameters are called as in the published model: 0, 2 and norm."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers['0'] = nn.Linear(CAN_BUS_NUMBERS, embed_dims // 2)
    layers['1'] = nn.ReLU(inplace=True)
    layers['2'] = nn.Linear(embed_dims // 2, embed_dims)
    layers['3'] = nn.ReLU(inplace=True)
    layers['norm'] = nn.LayerNorm(embed_dims)
    return nn.Sequential(layers)
