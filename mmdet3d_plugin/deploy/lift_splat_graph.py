"""BEVDepth4D as a graph of standard operators: its plan comes in as indices, the frame before as a map."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..models.detectors import BEVDepth4D
from .head_graphs import head_graph


class LiftSplatGraph(nn.Module):
    """Images, camera numbers and a plan -> head outputs and the frame's own map, which is the next frame's input.

    Args:
        detector: BEVDepth4D in evaluation mode.
        decoded: see :mod:`.head_graphs`.
    """

    def __init__(self, detector: BEVDepth4D, decoded: bool) -> None:
        super().__init__()
        self.detector = detector
        self.head = head_graph(detector.head, decoded)
        self.remembers = detector.num_frames > 1

    @property
    def inputs(self) -> dict[str, dict[int, str]]:
        """Names of the inputs in order, with their axes of any length."""
        batch = {0: 'batch'}
        plan = {name: {0: 'points'} for name in ('points', 'pixels', 'cells')}
        previous = dict.fromkeys(('previous_bev', 'previous_places', 'has_previous'), batch)
        own = dict(images=batch, camera_numbers=batch, **plan, **(previous if self.remembers else {}))
        return dict(own, **dict.fromkeys(self.head.inputs, batch))

    def forward(self, *values: Tensor) -> dict[str, Tensor]:
        """Outputs by name.

        Args:
            values: in the order of :attr:`inputs`, float32 unless said otherwise: ``images`` (B, N, 3, H, W),
                ``camera_numbers`` (B, N, 33); of K points ``points`` (flat index in the depth probabilities
                (B, N, D, h, w)), ``pixels`` (in the context (B, N, h, w)) and ``cells`` (in the map (B, rows,
                columns)), int64; ``previous_bev`` (B, C, rows, columns), ``previous_places`` (B, rows, columns, 2),
                where the current cells lie in it, and ``has_previous`` (B,) bool: a sample without takes its own map
                instead; ``seconds`` (B,) since the frame before.

        Returns:
            The head's and ``bev`` (B, C, rows, columns).
        """
        given = dict(zip(self.inputs, values))
        detector = self.detector
        bev = detector.pre_process_net(self._splat(**{key: given[key] for key in list(given)[:5]}))[-1]
        maps = [bev]
        if self.remembers:
            known = given['has_previous'].view(-1, 1, 1, 1)
            previous = torch.where(known, given['previous_bev'], bev)
            maps.append(F.grid_sample(previous, given['previous_places'], padding_mode='zeros', align_corners=False))
        stages = detector.img_bev_encoder_backbone(torch.cat(maps, dim=1))
        head_map = detector.img_bev_encoder_neck(stages)
        return dict(self.head(head_map, *(given[name] for name in self.head.inputs)), bev=bev)

    def _splat(self, images, camera_numbers, points, pixels, cells):
        """(B, C, rows, columns), the sum of depth-weighted context over the points of each cell."""
        view = self.detector.img_view_transformer
        feature = self.detector.img_neck(self.detector.img_backbone(images.flatten(0, 1)))
        logits, context = view.depth_and_context(feature, camera_numbers.flatten(0, 1))
        weights = logits.softmax(dim=1).flatten()[points]
        lifted = context.permute(0, 2, 3, 1).flatten(0, 2)[pixels] * weights.unsqueeze(1)
        rows, columns = view.grid.size
        empty = lifted.new_zeros(1, 1).expand(images.shape[0] * rows * columns, context.shape[1])
        summed = empty.index_add(0, cells, lifted)
        return summed.unflatten(0, (-1, rows, columns)).permute(0, 3, 1, 2)

    def facts(self) -> dict[str, Any]:
        """What the reader of the file must know of the detector."""
        detector, view = self.detector, self.detector.img_view_transformer
        grid = view.grid
        return dict(
            head=self.head.facts(),
            point_cloud_range=list(detector.point_cloud_range),
            remembers=self.remembers,
            bev_channels=detector.pre_process_net.output_levels(view.level)[-1].channels,
            frustum=dict(
                image_size=list(view.image_size),
                stride=view.stride,
                depth_bound=list(view.depth_bound),
                anchor=view.frustum_anchor,
                grid=[*grid.extent, *grid.size],
                z_range=list(view.zbound),
            ),
        )
