"""BEVFormer as a graph of standard operators: visible pairs come in as a list, the frame before as a map."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from ..models.bev_transformer.pillar_projection import VisiblePairs
from ..models.bev_transformer.previous_map import PreviousMap
from ..models.detectors import BEVFormer
from .head_graphs import head_graph

_PLAN = ('pair_image', 'pair_cell', 'pair_points')
_SAMPLING = dict(warp='bilinear', released='nearest')


class BEVFormerGraph(nn.Module):
    """Images, a plan and the map before -> head outputs and the frame's map, which is the next frame's input.

    Args:
        detector: BEVFormer in evaluation mode.
        decoded: see :mod:`.head_graphs`.
    """

    def __init__(self, detector: BEVFormer, decoded: bool) -> None:
        super().__init__()
        self.detector = detector
        self.head = head_graph(detector.head, decoded)
        self.remembers = detector.history

    @property
    def inputs(self) -> dict[str, dict[int, str]]:
        """Names of the inputs in order, with their axes of any length."""
        batch = {0: 'batch'}
        names = dict(images=batch, **dict.fromkeys(_PLAN, {0: 'pairs'}), cell_share={0: 'cells'})
        if self.detector.bev_encoder.can_bus_mlp is not None:
            names['can_bus'] = batch
        if self.remembers:
            names.update(dict.fromkeys(('previous_bev', 'previous_places', 'has_previous'), batch))
            if self.detector.bev_encoder.alignment == 'released':
                names['previous_shift'] = batch
        return dict(names, **dict.fromkeys(self.head.inputs, batch))

    def forward(self, *values: Tensor) -> dict[str, Tensor]:
        """Outputs by name.

        Args:
            values: in the order of :attr:`inputs`: ``images`` (B, N, 3, H, W); the K visible pairs and shares of
                :class:`VisiblePairs`, ``pair_image``, ``pair_cell`` (K,), ``pair_points`` (K, Z, 2), ``cell_share``
                (B * cells, 1); ``can_bus`` (B, 18); ``previous_bev`` (B, C, rows, columns), ``previous_places``
                (B, rows, columns, 2), where the current cells lie in it, ``has_previous`` (B,) bool and
                ``previous_shift`` (B, 2) of the references.

        Returns:
            The head's and ``bev`` (B, C, rows, columns).
        """
        given = dict(zip(self.inputs, values))
        detector, images = self.detector, given['images']
        features = detector.img_neck(detector.img_backbone(images.flatten(0, 1)))
        features = [level.unflatten(0, (-1, detector.bev_encoder.num_cams)) for level in features]
        pairs = VisiblePairs(*(given[name] for name in (*_PLAN, 'cell_share')))
        bev = detector.bev_encoder(features, pairs, given.get('can_bus'), self._previous(given))[-1]
        return dict(self.head(bev, *(given[name] for name in self.head.inputs)), bev=bev)

    def _previous(self, given):
        """PreviousMap in the current frame, None for a detector without history."""
        if not self.remembers:
            return None
        bev, places = given['previous_bev'], given['previous_places']
        mode = _SAMPLING[self.detector.bev_encoder.alignment]
        moved = F.grid_sample(bev, places, mode=mode, padding_mode='zeros', align_corners=False)
        shift = given.get('previous_shift', places.new_zeros(1, 2))
        return PreviousMap(moved, given['has_previous'], shift)

    def facts(self) -> dict[str, Any]:
        """What the reader of the file must know of the detector."""
        encoder = self.detector.bev_encoder
        grid, ranges = encoder.grid, list(encoder.point_cloud_range)
        pillars = dict(grid=[*grid.extent, *grid.size], z_range=[ranges[2], ranges[5]], count=encoder.pillar_points)
        return dict(
            head=self.head.facts(),
            point_cloud_range=ranges,
            remembers=self.remembers,
            bev_channels=encoder.level.channels,
            alignment=encoder.alignment,
            pillars=pillars,
        )
