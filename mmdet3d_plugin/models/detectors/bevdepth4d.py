"""BEVDepth4D: camera-only BEV detector over two frames, the student (BEVDepth 2206.10092, BEVDet4D 2203.17054)."""

import torch
from mmcv.runner import auto_fp16
from mmcv.utils import print_log
from mmdet3d.core import bbox3d2result
from mmdet3d.models import builder
from mmdet3d.models.detectors import Base3DDetector

from ...compat import no_grad
from ..bev_features import BEVFeatures, level_names
from ..pretrained import drop_missing_pretrained
from ..view_transforms.geometry import CameraGeometry
from ..view_transforms.temporal_align import align_bev
from .bev_head_check import check_head_fits, head_settings

_DISTILL_PREFIX = 'distill.'


@builder.DETECTORS.register_module()
class BEVDepth4D(Base3DDetector):
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

    def __init__(
        self,
        *,
        img_backbone,
        img_neck,
        img_view_transformer,
        pre_process_net,
        img_bev_encoder_backbone,
        img_bev_encoder_neck,
        pts_bbox_head,
        point_cloud_range,
        num_frames=2,
        train_cfg=None,
        test_cfg=None,
        init_cfg=None,
    ):
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
        head_cfg = dict(pts_bbox_head)
        head_cfg['train_cfg'] = head_settings(train_cfg, 'train_cfg')
        head_cfg['test_cfg'] = head_settings(test_cfg, 'test_cfg')
        self.pts_bbox_head = builder.build_head(head_cfg)
        check_head_fits(self.pts_bbox_head, self.bev_levels()['head'], self.point_cloud_range)
        self._check_grid()

    def bev_levels(self):
        """Sizes of the BEV maps by level name, from the config alone: 'backbone0', ..., 'head'."""
        level = self.pre_process_net.output_levels(self.img_view_transformer.level)[-1]
        joined = type(level)(level.channels * self.num_frames, level.height, level.width)
        levels = self.img_bev_encoder_backbone.output_levels(joined)
        levels.append(self.img_bev_encoder_neck.output_level(levels))
        return dict(zip(level_names(len(levels) - 1), levels))

    def _check_grid(self):
        grid = self.img_view_transformer.grid
        x_min, y_min, _, x_max, y_max, _ = self.point_cloud_range
        if (grid.x_min, grid.y_min, grid.x_max, grid.y_max) != (x_min, y_min, x_max, y_max):
            raise ValueError(
                f'the view transform covers x {grid.x_min}..{grid.x_max}, y {grid.y_min}..{grid.y_max} m but '
                f'point_cloud_range is {self.point_cloud_range}: make xbound and ybound agree with it'
            )

    def extract_bev(self, batch):
        """BEV features of a collated batch (keys ``img``, camera geometry, ``frame2cur``, ``bev_aug``).

        The previous frame runs without gradients (its map is a constant of the current step, as released), in the same
        mode: in training its statistics update BatchNorm too, since at test the networks see such frames as well.

        Returns:
            BEVFeatures: with the current frame's depth logits.

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
        return BEVFeatures(backbone=maps, neck=self.img_bev_encoder_neck(maps), depth_logits=depth_logits)

    def _frame_bev(self, batch, frame):
        """(BEV map (B, C, H, W) in the frame's own augmented BEV frame, depth logits (B, N, D, h, w))."""
        images = batch['img'][:, frame]
        feature = self.img_neck(self.img_backbone(images.flatten(0, 1)))
        feature = feature.unflatten(0, images.shape[:2])
        bev, depth_logits = self.img_view_transformer(feature, CameraGeometry.of_frame(batch, frame))
        return self.pre_process_net(bev)[-1], depth_logits

    def extract_feat(self, imgs):
        """Unsupported half of mmdet's interface: BEV features need the cameras' geometry too."""
        raise NotImplementedError('BEVDepth4D extracts features from a whole batch: use extract_bev(batch)')

    def loss_from_bev(self, bev, batch):
        """Detection and depth losses by name (``task{i}.loss_heatmap``, ``task{i}.loss_bbox``, ``loss_depth``)."""
        outs = self.pts_bbox_head([bev.neck])
        losses = self.pts_bbox_head.loss(
            batch['gt_bboxes_3d'], batch['gt_labels_3d'], outs, img_metas=batch['img_metas']
        )
        losses['loss_depth'] = self.img_view_transformer.loss_depth(bev.depth_logits, batch['gt_depth'])
        return losses

    @auto_fp16(apply_to=('img',))
    def forward(self, return_loss=True, **batch):
        """Losses of a collated batch, or detections with ``return_loss=False``."""
        return self.forward_train(**batch) if return_loss else self.forward_test(**batch)

    def forward_train(self, **batch):
        """Losses by name."""
        return self.loss_from_bev(self.extract_bev(batch), batch)

    def forward_test(self, img_metas, **batch):
        """Detections, see :meth:`simple_test`; samples are collated as in training."""
        return self.simple_test(img_metas, **batch)

    def simple_test(self, img_metas, **batch):
        """One ``dict(pts_bbox=dict(boxes_3d, scores_3d, labels_3d))`` on the CPU per sample."""
        outs = self.pts_bbox_head([self.extract_bev(batch).neck])
        detections = self.pts_bbox_head.get_bboxes(outs, img_metas)
        return [dict(pts_bbox=bbox3d2result(*detection)) for detection in detections]

    def aug_test(self, *args, **kwargs):
        """Test-time augmentation is not offered."""
        raise NotImplementedError('BEVDepth4D has no test-time augmentation')

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs):
        """Ignore what a distiller saved beside the student, so that one checkpoint serves both models."""
        extra = [key for key in state_dict if key.startswith(prefix + _DISTILL_PREFIX)]
        if extra:
            print_log(
                f'BEVDepth4D ignores {len(extra)} checkpoint entries under "{prefix}{_DISTILL_PREFIX}": '
                f'they serve distillation only',
                logger='mmdet3d',
            )
            state_dict = {key: value for key, value in state_dict.items() if key not in set(extra)}
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
