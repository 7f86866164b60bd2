"""CenterPoint on pillars as a LiDAR teacher and as a detector of its own."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from mmcv import ConfigDict
from mmdet3d.models.builder import DETECTORS
from mmdet3d.models.detectors import CenterPoint
from torch import Tensor

from ...structures import BEVFeatures, BEVLevel
from .base import named_stages
from .head_settings import head_settings
from .pillar_sizes import check_voxels_fit, plan_levels
from .voxel_detector import VoxelDetector


@DETECTORS.register_module()
class CenterPointBEV(VoxelDetector, CenterPoint):
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
        check_voxels_fit(self)
        self.head.check_input(self.bev_levels()['head'])

    def bev_levels(self) -> dict[str, BEVLevel]:
        """'backbone0', ... are the BEV backbone's stages, 'head' is the neck's output."""
        scatter = self.pts_middle_encoder
        canvas = BEVLevel.from_range(self.point_cloud_range, scatter.in_channels, scatter.ny, scatter.nx)
        return plan_levels(canvas, self.pts_backbone, self.pts_neck)

    def extract_bev(self, batch: Mapping[str, Any]) -> BEVFeatures:
        """BEV maps of a batch.

        Args:
            batch: dict of collated keys; ``points``, a list of B (M_i, C) tensors, x, y, z (m) first and the
                rest as the voxel encoder takes it, is read.
        """
        stages = self.pts_backbone(self._canvas(self.points_of(batch)))
        return BEVFeatures(named_stages(stages, head=self.pts_neck(stages)[0]), head_input='head')

    def extract_pts_feat(self, pts: Sequence[Tensor], img_feats: Any = None, img_metas: Any = None) -> list[Tensor]:
        """mmdet3d's interface to :meth:`extract_bev`: a list with the neck's output."""
        return [self.extract_bev(dict(points=pts)).head_map]
