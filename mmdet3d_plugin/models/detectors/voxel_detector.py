"""What detectors on voxels of LiDAR points have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmcv.runner import force_fp32
from torch import Tensor, nn
from torch.nn import functional as F

from ...structures import BEVFeatures
from ..evaluating import evaluating
from ..heads.base import BEVHead
from .base import BEVDetector


class VoxelDetector(BEVDetector):
    """A LiDAR detector with mmdet3d's module names.

    A detector sets ``pts_voxel_layer`` (mmcv's Voxelization), ``pts_voxel_encoder``, ``pts_middle_encoder``,
    ``pts_backbone`` and ``pts_bbox_head``.
    """

    inputs = frozenset({'points'})

    @property
    def point_cloud_range(self) -> tuple[float, ...]:
        """(x_min, y_min, z_min, x_max, y_max, z_max) in metres, LiDAR frame."""
        return tuple(float(value) for value in self.pts_voxel_layer.point_cloud_range)

    @property
    def dynamic_voxels(self) -> bool:
        """Whether voxels keep all their points."""
        return self.pts_voxel_layer.max_num_points == -1

    @property
    def head(self) -> BEVHead:
        """The detection head."""
        return self.pts_bbox_head

    @property
    def shared_module(self) -> nn.Module:
        """The BEV backbone."""
        return self.pts_backbone

    def meaning(self) -> dict[str, Any]:
        """Adds range (x, y, z minima, then maxima) and voxel size (x, y, z), metres."""
        voxel_size = [float(size) for size in self.pts_voxel_layer.voxel_size]
        return dict(super().meaning(), point_cloud_range=list(self.point_cloud_range), voxel_size=voxel_size)

    def check_voxel_encoder(self, dynamic: str, limited: str) -> None:
        """Raise ValueError unless voxel layer and voxel encoder agree on what a voxel holds.

        Args:
            dynamic: encoders for voxels that keep all their points, for the message.
            limited: those for voxels that keep a number of them.
        """
        if self.dynamic_voxels != getattr(self.pts_voxel_encoder, 'dynamic_voxels', False):
            raise ValueError(
                f'pts_voxel_layer has max_num_points={self.pts_voxel_layer.max_num_points} but pts_voxel_encoder is '
                f'{type(self.pts_voxel_encoder).__name__}: -1 goes with {dynamic}, a limit with {limited}'
            )

    @torch.no_grad()
    @force_fp32(apply_to=('points',))
    def voxelize(self, points: Sequence[Tensor]) -> tuple[Tensor, Tensor | None, Tensor]:
        """Points to voxels.

        Args:
            points: list of B (M_i, C) float32 tensors; points outside the range, its upper edges included, are dropped.

        Returns:
            hard voxels: ((V, max_num_points, C) points, (V,) counts, (V, 4) int (sample, z, y, x)); dynamic:
            ((M, C) points inside the range, None, (M, 4) their voxels).
        """
        voxels, counts, coors = [], [], []
        for sample, cloud in enumerate(points):
            if self.dynamic_voxels:
                cells = self.pts_voxel_layer(cloud) if len(cloud) else cloud.new_zeros(0, 3, dtype=torch.int32)
                keep = (cells >= 0).all(dim=1)
                kept, cells = cloud[keep], cells[keep]
            elif len(cloud):
                kept, cells, count = self.pts_voxel_layer(cloud)
                counts.append(count)
            else:
                kept = cloud.new_zeros(0, self.pts_voxel_layer.max_num_points, cloud.shape[1])
                cells = cloud.new_zeros(0, 3, dtype=torch.int32)
                counts.append(cloud.new_zeros(0, dtype=torch.int32))
            voxels.append(kept)
            coors.append(F.pad(cells, (1, 0), value=sample))
        return torch.cat(voxels), torch.cat(counts) if counts else None, torch.cat(coors)

    def _canvas(self, points):
        """(B, C, H, W) map of the middle encoder."""
        voxels, counts, coors = self.voxelize(points)
        # one value per channel has no batch statistics: the running ones normalise it
        too_few = len(voxels) < (2 if self.dynamic_voxels else 1)
        with evaluating(self.pts_voxel_encoder, active=too_few):
            if self.dynamic_voxels:
                features, coors = self.pts_voxel_encoder(voxels, coors)
            else:
                features = self.pts_voxel_encoder(voxels, counts, coors)
        return self.pts_middle_encoder(features, coors, len(points))

    def points_of(self, batch: Mapping[str, Any]) -> list[Tensor]:
        """The batch's points, one (M_i, C) tensor a sample.

        Raises:
            ValueError: the batch has none.
        """
        if 'points' not in batch:
            raise ValueError(f"{type(self).__name__} needs 'points' in the batch; it has {sorted(batch)}")
        return batch['points']

    def loss_from_bev(self, bev: BEVFeatures, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """The head's losses by name.

        Args:
            bev: BEVFeatures of ``batch``.
            batch: holds ``gt_bboxes_3d``, ``gt_labels_3d`` and ``img_metas``.
        """
        return self.head_losses(bev, batch)
