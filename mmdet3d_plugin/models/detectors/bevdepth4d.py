"""BEVDepth4D: camera-only BEV detector over two frames, the student (BEVDepth 2206.10092, BEVDet4D 2203.17054)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmdet3d.models import builder
from torch import Tensor, nn

from ...compat import no_grad
from ...structures import BEVFeatures, BEVLevel
from ..heads.base import BEVHead
from ..pretrained import drop_missing_pretrained
from ..view_transforms.geometry import CameraGeometry
from ..view_transforms.temporal_align import align_bev
from .base import BEVDetector, named_stages
from .head_settings import build_bev_head
from .image_input import normalised


@builder.DETECTORS.register_module()
class BEVDepth4D(BEVDetector):
    """Images of one or two frames -> BEV features -> CenterPoint head.

    Args:
        img_backbone, img_neck: 2-D backbone and neck; the neck returns one map per image.
        img_view_transformer: image features -> BEV map.
        pre_process_net: BEV net run on each frame's map before frames are joined.
        img_bev_encoder_backbone, img_bev_encoder_neck: BEV encoder over the joined maps.
        pts_bbox_head: detection head.
        point_cloud_range: (x_min, y_min, z_min, x_max, y_max, z_max), metres, BEV frame.
        num_frames: frames used, 1 or 2 (current, previous).
        train_cfg, test_cfg: dicts whose ``pts`` section goes to the head.
    """

    inputs = frozenset({'img'})
    targets = BEVDetector.targets | {'gt_depth'}

    def __init__(
        self,
        *,
        img_backbone: Mapping[str, Any],
        img_neck: Mapping[str, Any],
        img_view_transformer: Mapping[str, Any],
        pre_process_net: Mapping[str, Any],
        img_bev_encoder_backbone: Mapping[str, Any],
        img_bev_encoder_neck: Mapping[str, Any],
        pts_bbox_head: Mapping[str, Any],
        point_cloud_range: Sequence[float],
        num_frames: int = 2,
        train_cfg: Mapping[str, Any] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        init_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if num_frames not in (1, 2):
            raise ValueError(f'BEVDepth4D uses 1 or 2 frames, got num_frames={num_frames}')
        self.num_frames = num_frames
        self.point_cloud_range = tuple(float(value) for value in point_cloud_range)
        self.img_backbone = builder.build_backbone(drop_missing_pretrained(img_backbone))
        self.img_neck = builder.build_neck(img_neck)
        self.img_view_transformer = builder.build_neck(img_view_transformer)
        self.pre_process_net = builder.build_backbone(pre_process_net)
        self.img_bev_encoder_backbone = builder.build_backbone(img_bev_encoder_backbone)
        self.img_bev_encoder_neck = builder.build_neck(img_bev_encoder_neck)
        self.pts_bbox_head = build_bev_head(pts_bbox_head, train_cfg, test_cfg)
        self._check_grid()
        self.head.check_input(self.bev_levels()['head'])

    @property
    def head(self) -> BEVHead:
        """The detection head."""
        return self.pts_bbox_head

    @property
    def shared_module(self) -> nn.Module:
        """The BEV encoder's stages: detection and distillation both go through them, and little lies behind."""
        return self.img_bev_encoder_backbone

    def bev_levels(self) -> dict[str, BEVLevel]:
        """'backbone0', ... are the BEV encoder's stages, 'head' is its neck's output."""
        level = self.pre_process_net.output_levels(self.img_view_transformer.level)[-1]
        stages = self.img_bev_encoder_backbone.output_levels(level.resized(level.channels * self.num_frames))
        return named_stages(stages, head=self.img_bev_encoder_neck.output_level(stages))

    def meaning(self) -> dict[str, Any]:
        """Adds the range, the depth bins (first, end, step; metres) and where a feature cell's ray starts."""
        view = self.img_view_transformer
        facts = dict(super().meaning(), point_cloud_range=list(self.point_cloud_range))
        return dict(facts, depth_bound=list(view.depth_bound), frustum_anchor=view.frustum_anchor)

    def pipeline_settings(self) -> dict[tuple[str, str], Any]:
        """Image size, and stride and bins of the depth map, are the view transform's."""
        view = self.img_view_transformer
        return {
            ('AugmentMultiViewImages', 'final_dim'): view.image_size,
            ('PointsToDepthMap', 'downsample'): view.stride,
            ('PointsToDepthMap', 'depth_bounds'): view.depth_bound,
        }

    def _check_grid(self):
        grid = self.img_view_transformer.grid
        x_min, y_min, _, x_max, y_max, _ = self.point_cloud_range
        if (grid.x_min, grid.y_min, grid.x_max, grid.y_max) != (x_min, y_min, x_max, y_max):
            raise ValueError(
                f'the view transform covers x {grid.x_min}..{grid.x_max}, y {grid.y_min}..{grid.y_max} m but '
                f'point_cloud_range is {self.point_cloud_range}: make xbound and ybound agree with it'
            )

    def extract_bev(self, batch: Mapping[str, Any]) -> BEVFeatures:
        """BEV features of a collated batch (keys ``img``, camera geometry, ``frame2cur``, ``bev_aug``).

        The previous frame runs without gradients (its map is a constant of the current step, as released), in the same
        mode: in training its statistics update BatchNorm too, since at test the networks see such frames as well.

        Returns:
            Its ``private`` holds ``depth_logits`` (B, N, D, h, w) of the current frame.

        Raises:
            ValueError: the batch does not hold ``num_frames`` frames.
        """
        frames = batch['img'].shape[1]
        if frames != self.num_frames:
            raise ValueError(
                f'the batch holds {frames} frame(s) of images but the model was built with num_frames={self.num_frames}'
            )
        previous = []
        with no_grad():
            for frame in range(1, frames):
                bev, _ = self._frame_bev(batch, frame)
                previous.append(align_bev(bev, batch['frame2cur'][:, frame], self.img_view_transformer.grid))
        current, depth_logits = self._frame_bev(batch, 0)
        maps = self.img_bev_encoder_backbone(torch.cat([current, *previous], dim=1))
        levels = named_stages(maps, head=self.img_bev_encoder_neck(maps))
        return BEVFeatures(levels, head_input='head', private=dict(depth_logits=depth_logits))

    def _frame_bev(self, batch, frame):
        """(BEV map (B, C, H, W) in the frame's own augmented BEV frame, depth logits (B, N, D, h, w))."""
        images = normalised(batch['img'][:, frame], batch.get('img_metas', ()))
        feature = self.img_neck(self.img_backbone(images.flatten(0, 1)))
        feature = feature.unflatten(0, images.shape[:2])
        bev, depth_logits = self.img_view_transformer(feature, CameraGeometry.of_frame(batch, frame))
        return self.pre_process_net(bev)[-1], depth_logits

    def loss_from_bev(self, bev: BEVFeatures, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Detection and depth losses by name (``task{i}.loss_heatmap``, ``task{i}.loss_bbox``, ``loss_depth``)."""
        losses = self.head_losses(bev, batch)
        losses['loss_depth'] = self.img_view_transformer.loss_depth(bev.private['depth_logits'], batch['gt_depth'])
        return losses
