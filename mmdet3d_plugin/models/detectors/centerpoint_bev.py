"""CenterPoint on pillars as a LiDAR teacher and as a detector of its own."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from mmcv import ConfigDict
from mmcv.runner import force_fp32
from mmdet3d.models.builder import DETECTORS
from mmdet3d.models.detectors import CenterPoint
from torch import Tensor, nn
from torch.nn import functional as F

from ...structures import BEVFeatures, BEVLevel
from ..heads.bev_center_head import BEVCenterHead
from .base import BEVDetector, stages_and_head
from .bev_head_check import check_head_fits, head_settings
from .pillar_sizes import check_voxels_fit, plan_levels


@DETECTORS.register_module()
class CenterPointBEV(BEVDetector, CenterPoint):
    """mmdet3d's CenterPoint, LiDAR branch only, that shows its BEV maps. Checkpoint keys are the same.

    Hard voxels (``max_num_points`` > 0, mmdet3d's PillarFeatureNet) and dynamic voxels (``max_num_points=-1``,
    DynamicPillarEncoder) both work, and so does a sample, or a whole batch, without points.

    Args:
        pts_voxel_layer: arguments of mmcv's Voxelization.
        pts_voxel_encoder, pts_middle_encoder, pts_backbone, pts_neck, pts_bbox_head: module configs.
        train_cfg, test_cfg: dict(pts=...) for the head.
        init_cfg: mmcv initialisation.

    Raises:
        ValueError: modules whose sizes do not fit; names both sides.
    """

    inputs = frozenset({'points'})

    def __init__(
        self,
        pts_voxel_layer: Mapping[str, Any],
        pts_voxel_encoder: Mapping[str, Any],
        pts_middle_encoder: Mapping[str, Any],
        pts_backbone: Mapping[str, Any],
        pts_neck: Mapping[str, Any],
        pts_bbox_head: Mapping[str, Any],
        train_cfg: Mapping[str, Any] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        init_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        for name, sections in (('train_cfg', train_cfg), ('test_cfg', test_cfg)):
            head_settings(sections, name)  # mmdet3d drops what it does not know
        modules = dict(
            pts_voxel_layer=pts_voxel_layer,
            pts_voxel_encoder=pts_voxel_encoder,
            pts_middle_encoder=pts_middle_encoder,
            pts_backbone=pts_backbone,
            pts_neck=pts_neck,
            pts_bbox_head=pts_bbox_head,
            train_cfg=ConfigDict(train_cfg) if train_cfg else None,
            test_cfg=ConfigDict(test_cfg) if test_cfg else None,
        )
        super().__init__(**copy.deepcopy(modules), init_cfg=init_cfg)
        self.dynamic_voxels = self.pts_voxel_layer.max_num_points == -1
        check_voxels_fit(self)
        check_head_fits(self.pts_bbox_head, self.bev_levels()['head'])

    @property
    def point_cloud_range(self) -> tuple[float, ...]:
        """(x_min, y_min, z_min, x_max, y_max, z_max) in metres, LiDAR frame."""
        return tuple(float(value) for value in self.pts_voxel_layer.point_cloud_range)

    @property
    def head(self) -> BEVCenterHead:
        """The detection head."""
        return self.pts_bbox_head

    @property
    def shared_module(self) -> nn.Module:
        """The BEV backbone."""
        return self.pts_backbone

    def bev_levels(self) -> dict[str, BEVLevel]:
        """'backbone0', ... are the BEV backbone's stages, 'head' is the neck's output."""
        scatter = self.pts_middle_encoder
        canvas = BEVLevel.from_range(self.point_cloud_range, scatter.in_channels, scatter.ny, scatter.nx)
        return plan_levels(canvas, self.pts_backbone, self.pts_neck)

    def meaning(self) -> dict[str, Any]:
        """Adds range (x, y, z minima, then maxima) and voxel size (x, y, z), metres."""
        voxel_size = [float(size) for size in self.pts_voxel_layer.voxel_size]
        return dict(super().meaning(), point_cloud_range=list(self.point_cloud_range), voxel_size=voxel_size)

    @torch.no_grad()
    @force_fp32(apply_to=('points',))
    def voxelize(self, points: Sequence[Tensor]) -> tuple[Tensor, Tensor | None, Tensor]:
        """Points to voxels.

        Args:
            points: list of B (M_i, C) float32 tensors; points outside the range are dropped.

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
        """(B, C, ny, nx) pillar features on the BEV plane."""
        voxels, counts, coors = self.voxelize(points)
        # one value per channel has no batch statistics: such a batch is normalised with the running ones
        too_few = len(voxels) < (2 if self.dynamic_voxels else 1)
        with _running_statistics(self.pts_voxel_encoder, too_few):
            if self.dynamic_voxels:
                features, coors = self.pts_voxel_encoder(voxels, coors)
            else:
                features = self.pts_voxel_encoder(voxels, counts, coors)
        return self.pts_middle_encoder(features, coors, len(points))

    def extract_bev(self, batch: Mapping[str, Any]) -> BEVFeatures:
        """BEV maps of a batch.

        Args:
            batch: dict of collated keys; ``points``, a list of B (M_i, C) tensors, x, y, z (m) first and the
                rest as the voxel encoder takes it, is read.
        """
        if 'points' not in batch:
            raise ValueError(f"CenterPointBEV needs 'points' in the batch; it has {sorted(batch)}")
        stages = self.pts_backbone(self._canvas(batch['points']))
        return BEVFeatures(stages_and_head(stages, self.pts_neck(stages)[0]), head_input='head')

    def extract_pts_feat(self, pts: Sequence[Tensor], img_feats: Any = None, img_metas: Any = None) -> list[Tensor]:
        """mmdet3d's interface to :meth:`extract_bev`: a list with the neck's output."""
        return [self.extract_bev(dict(points=pts)).head_map]

    def loss_from_bev(self, bev: BEVFeatures, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Detection losses ``task{i}.loss_heatmap`` and ``task{i}.loss_bbox``.

        Args:
            bev: BEVFeatures of ``batch``.
            batch: holds ``gt_bboxes_3d``, ``gt_labels_3d`` and, for a displacement head, ``img_metas``.
        """
        return self.head_losses(bev, batch)


@contextmanager
def _running_statistics(module, active):
    """Use ``module`` in evaluation mode inside the block when ``active``; gradients still reach its parameters."""
    training = module.training
    module.train(training and not active)
    try:
        yield
    finally:
        module.train(training)
