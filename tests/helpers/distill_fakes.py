"""A camera student of a few thousand parameters, and the configs of a distiller around it."""

import mmcv
import torch
from mmcv import Config
from mmdet3d.core.bbox import LiDARInstance3DBoxes
from mmdet3d.models import build_detector
from mmdet3d.models.builder import DETECTORS, build_head
from torch import nn

from helpers.bev import level
from helpers.toy_models import TOY_RANGE, toy_centerpoint_cfg, toy_head_cfg
from mmdet3d_plugin.models.detectors.base import BEVDetector, named_stages
from mmdet3d_plugin.structures import BEVFeatures


@DETECTORS.register_module()
class TinyStudent(BEVDetector):
    """Takes ``img`` (B, 3, 16, 16) as if it were a BEV map; levels 8@16x16, 16@8x8, 24@4x4, head 12@16x16."""

    inputs = frozenset({'img'})

    def __init__(self, *, pts_bbox_head, point_cloud_range=TOY_RANGE, train_cfg=None, test_cfg=None):
        super().__init__()
        self.point_cloud_range = tuple(point_cloud_range)
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.stage1 = nn.Sequential(nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ReLU())
        self.stage2 = nn.Sequential(nn.Conv2d(16, 24, 3, stride=2, padding=1), nn.ReLU())
        self.neck = nn.Conv2d(8, 12, 1)
        self.pts_bbox_head = build_head(pts_bbox_head)
        self.extractions = 0

    @property
    def head(self):
        return self.pts_bbox_head

    def bev_levels(self):
        sizes = dict(backbone0=(8, 16, 16), backbone1=(16, 8, 8), backbone2=(24, 4, 4), head=(12, 16, 16))
        return {name: level(*size, extent=self.point_cloud_range) for name, size in sizes.items()}

    def meaning(self):
        return dict(super().meaning(), point_cloud_range=list(self.point_cloud_range))

    def extract_bev(self, batch):
        self.extractions += 1
        first = self.stem(batch['img'])
        second = self.stage1(first)
        third = self.stage2(second)
        maps = named_stages([first, second, third], head=self.neck(first) + third.mean())
        return BEVFeatures(maps, head_input='head')

    def loss_from_bev(self, bev, batch):
        return self.head_losses(bev, batch)

    def forward_test(self, img_metas, **batch):
        predictions = self.head.predict(self.extract_bev(batch).head_map, img_metas)
        return self.head.decode(predictions, img_metas)


def student_cfg(**head_overrides):
    return dict(type='TinyStudent', pts_bbox_head=toy_head_cfg(12, **head_overrides))


def level_cfgs():
    """The method's three levels: AOA inside the backbone, 1x1 and false positives at the head."""
    loss = dict(type='RegionWeightedFeatureLoss')
    return [
        dict(name='backbone1', aligner=dict(type='AOAAligner'), loss=dict(loss)),
        dict(name='backbone2', aligner=dict(type='AOAAligner'), loss=dict(loss)),
        dict(name='head', aligner=dict(type='Conv1x1Aligner'), loss=dict(loss, fp_weight=6e-2)),
    ]


def write_teacher(folder, seed=0, epoch=20, cfg=None, **options):
    """Config and checkpoint files of a toy CenterPoint or of ``cfg``; returns the ``teacher`` entry of a distiller."""
    cfg = toy_centerpoint_cfg(**options) if cfg is None else cfg
    config, checkpoint = folder / 'teacher.py', folder / 'teacher.pth'
    Config(dict(model=cfg)).dump(str(config))
    torch.manual_seed(seed)
    model = build_detector(Config(dict(model=cfg)).model)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
            nn.init.normal_(module.weight, mean=1.0, std=0.1)  # exactly 1 would tell that it was never trained
    meta = dict(epoch=epoch, mmcv_version=mmcv.__version__, hook_msgs=dict(best_score=0.5))
    torch.save(dict(meta=meta, state_dict=model.state_dict()), checkpoint)
    return dict(config=str(config), checkpoint=str(checkpoint))


def distiller_cfg(teacher, **overrides):
    cfg = dict(
        type='DualDistill',
        student=student_cfg(),
        teacher=teacher,
        levels=level_cfgs(),
        response=dict(type='CrossHeadBoxLoss'),
        inherit_head=True,
    )
    cfg.update(overrides)
    return cfg


def build(cfg, seed=1):
    torch.manual_seed(seed)
    return build_detector(Config(dict(model=cfg)).model)


def make_batch(size=2, boxes=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    gt_boxes, gt_labels, points = [], [], []
    for _ in range(size):
        values = torch.rand(boxes, 9, generator=generator)
        values[:, :2] = values[:, :2] * 20 - 10
        values[:, 2] = -1.0
        values[:, 3:6] = values[:, 3:6] * 3 + 1
        values[:, 6] = values[:, 6] * 6 - 3
        gt_boxes.append(LiDARInstance3DBoxes(values, box_dim=9))
        gt_labels.append(torch.randint(0, 10, (boxes,), generator=generator))
        cloud = torch.rand(400, 5, generator=generator)
        cloud[:, :2] = cloud[:, :2] * 25 - 12.5
        cloud[:, 2] = cloud[:, 2] * 4 - 3
        points.append(cloud)
    return dict(
        img=torch.randn(size, 3, 16, 16, generator=generator),
        points=points,
        gt_bboxes_3d=gt_boxes,
        gt_labels_3d=gt_labels,
        img_metas=[dict(sample_idx=str(i), box_type_3d=LiDARInstance3DBoxes, frame_dt=0.5) for i in range(size)],
    )
