"""LidarFormer and MVPFormer: LiDAR teachers with the student's kind of BEV map and head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmcv.ops import Voxelization
from mmdet3d.models import builder

from ...structures import BEVFeatures, BEVLevel
from .base import named_stages
from .head_settings import build_bev_head
from .pillar_sizes import plan_stages
from .voxel_detector import VoxelDetector
from .voxel_sizes import check_parts_fit


@builder.DETECTORS.register_module()
class LidarFormer(VoxelDetector):
    """Points -> voxels -> sparse 3-D encoder -> SECOND -> FPN -> BEV encoder -> head.

    Hard voxels with mmdet3d's HardSimpleVFE make LidarFormer, dynamic voxels with :class:`VirtualVoxelEncoder`
    MVPFormer. A sample, or a whole batch, without points works.

    Names of published weights: :mod:`..necks.deformable_bev_encoder`.

    Args:
        pts_voxel_layer: arguments of mmcv's Voxelization.
        pts_voxel_encoder: HardSimpleVFE, or an encoder of dynamic voxels.
        pts_middle_encoder: :class:`BEVSparseEncoder`.
        pts_backbone: SECOND.
        pts_neck: mmdet's FPN; without extra convolutions its further levels are every second cell of the level before.
        bev_encoder: :class:`DeformableBEVEncoder`.
        pts_bbox_head: detection head.
        train_cfg, test_cfg: dicts whose ``pts`` section goes to the head.
        init_cfg: mmcv initialisation.

    Raises:
        ValueError: parts whose sizes do not fit; names both sides.
    """

    def __init__(
        self,
        *,
        pts_voxel_layer: Mapping[str, Any],
        pts_voxel_encoder: Mapping[str, Any],
        pts_middle_encoder: Mapping[str, Any],
        pts_backbone: Mapping[str, Any],
        pts_neck: Mapping[str, Any],
        bev_encoder: Mapping[str, Any],
        pts_bbox_head: Mapping[str, Any],
        train_cfg: Mapping[str, Any] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        init_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.pts_voxel_layer = Voxelization(**pts_voxel_layer)
        self.pts_voxel_encoder = builder.build_voxel_encoder(pts_voxel_encoder)
        self.pts_middle_encoder = builder.build_middle_encoder(pts_middle_encoder)
        self.pts_backbone = builder.build_backbone(pts_backbone)
        self.pts_neck = builder.build_neck(pts_neck)
        self.bev_encoder = builder.build_neck(bev_encoder)
        self.pts_bbox_head = build_bev_head(pts_bbox_head, train_cfg, test_cfg)
        check_parts_fit(self, self._stages())
        self.head.check_input(self.bev_levels()['bev'])

    def _stages(self):
        """BEVLevel of each stage of SECOND."""
        encoder = self.pts_middle_encoder
        canvas = BEVLevel.from_range(self.point_cloud_range, encoder.bev_channels, *encoder.bev_size)
        return plan_stages(canvas, self.pts_backbone)

    def bev_levels(self) -> dict[str, BEVLevel]:
        """'backbone0', ... are SECOND's stages, 'bev' is the BEV encoder's output, which the head reads."""
        encoder = self.bev_encoder
        bev = BEVLevel.from_range(self.point_cloud_range, encoder.embed_dims, *encoder.bev_size)
        return named_stages(self._stages(), bev=bev)

    def meaning(self) -> dict[str, Any]:
        """Adds what stands for the time of virtual points, where the voxel encoder knows such points."""
        virtual_time = getattr(self.pts_voxel_encoder, 'virtual_time', None)
        return dict(super().meaning(), **({'virtual_time': virtual_time} if virtual_time else {}))

    def extract_bev(self, batch: Mapping[str, Any]) -> BEVFeatures:
        """BEV maps of a batch; the head does not run.

        Args:
            batch: dict of collated keys; ``points``, a list of B (M_i, C) tensors, x, y, z (m) first and the rest as
                the voxel encoder takes it, is read.
        """
        stages = self.pts_backbone(self._canvas(self.points_of(batch)))
        return BEVFeatures(named_stages(stages, bev=self.bev_encoder(self.pts_neck(stages))), head_input='bev')
