"""Losses of a distillation config on a tiny generated batch, and the files that hold what they must be.

Full-size configs are shrunk: :data:`STUDENT_SIZES` and :data:`TEACHER_SIZES` replace sizes (channels, ranges, cells,
numbers of blocks) and nothing else, so levels, aligners, losses, weights and targets stay those of the config.
"""

import json
import logging
import warnings

import torch
from mmcv import Config
from mmdet3d.models import build_model

from helpers.batch import TOY_RANGE, make_batch
from mmdet3d_plugin.structures.atomic_file import replace_when_done

TOLERANCE = 1e-4  # relative
_TINY = 1e-9  # a loss below it is zero
_BOX_RANGE = [-15.0, -15.0, -10.0, 15.0, 15.0, 10.0]
_HEAD = dict(share_conv_channel=16, separate_head=dict(head_conv=16))

STUDENT_SIZES = dict(
    point_cloud_range=list(TOY_RANGE),
    img_backbone=dict(depth=18, base_channels=8, init_cfg=None),
    img_neck=dict(in_channels=[32, 64], out_channels=16),
    img_view_transformer=dict(
        in_channels=16,
        out_channels=8,
        image_size=(64, 176),
        xbound=(-12.8, 12.8, 1.6),
        ybound=(-12.8, 12.8, 1.6),
        depth_bound=(1.0, 17.0, 1.0),
        depth_channels=16,
        depth_blocks=1,
    ),
    pre_process_net=dict(in_channels=8, channels=(8,), num_blocks=(1,)),
    img_bev_encoder_backbone=dict(in_channels=16, channels=(16, 24, 32), num_blocks=(1, 1, 1)),
    img_bev_encoder_neck=dict(in_channels=(16, 32), out_channels=16),
    pts_bbox_head=dict(
        in_channels=16,
        bbox_coder=dict(pc_range=list(TOY_RANGE[:2]), post_center_range=_BOX_RANGE, voxel_size=[0.2, 0.2]),
        **_HEAD,
    ),
    train_cfg=dict(pts=dict(point_cloud_range=list(TOY_RANGE), grid_size=[128, 128, 40], voxel_size=[0.2, 0.2, 0.2])),
    test_cfg=dict(pts=dict(post_center_limit_range=_BOX_RANGE)),
)
_PILLAR = [0.4, 0.4, 8.0]
TEACHER_SIZES = dict(
    pts_voxel_layer=dict(voxel_size=_PILLAR, point_cloud_range=list(TOY_RANGE)),
    pts_voxel_encoder=dict(feat_channels=[8], voxel_size=_PILLAR, point_cloud_range=list(TOY_RANGE)),
    pts_middle_encoder=dict(in_channels=8, output_shape=[64, 64]),
    pts_backbone=dict(in_channels=8, out_channels=[8, 16, 32], layer_nums=[1, 1, 1]),
    pts_neck=dict(in_channels=[8, 16, 32], out_channels=[16, 16, 16]),
    pts_bbox_head=dict(
        in_channels=48,
        bbox_coder=dict(pc_range=list(TOY_RANGE[:2]), post_center_range=_BOX_RANGE, voxel_size=_PILLAR[:2]),
        **_HEAD,
    ),
    train_cfg=dict(pts=dict(point_cloud_range=list(TOY_RANGE), grid_size=[64, 64, 1], voxel_size=_PILLAR)),
    test_cfg=dict(pts=dict(post_center_limit_range=_BOX_RANGE)),
)


def tiny_config(path, folder):
    """A distillation config with a random teacher and, where it is full-size, shrunk networks.

    Args:
        path (str): config file.
        folder (Path): where the shrunk teacher config is written.

    Returns:
        mmcv.Config
    """
    cfg = Config.fromfile(path)
    teacher = Config.fromfile(cfg.model.teacher.config)
    if cfg.model.student.point_cloud_range[3] > 30:
        cfg.merge_from_dict(dict(model=dict(student=STUDENT_SIZES)))
        teacher.merge_from_dict(dict(model=TEACHER_SIZES))
    config = folder / 'teacher.py'
    Config(dict(model=teacher.model)).dump(str(config))
    cfg.model.teacher.update(config=str(config), checkpoint=None, allow_random_weights=True)
    return cfg


def make_model(cfg):
    """The distiller with fixed random weights; the teacher is sure enough of some cells to give response targets."""
    torch.manual_seed(0)
    level = logging.getLogger('mmcv').level
    logging.getLogger('mmcv').setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # random teacher
            model = build_model(cfg.model)
        model.init_weights()
    finally:
        logging.getLogger('mmcv').setLevel(level)
    for task_head in model.teacher.head.task_heads:
        torch.nn.init.constant_(task_head.heatmap[-1].bias, -0.2)
    return model.train()


def tiny_batch(cfg, model):
    """Two samples in the sizes of the config, points as wide as its teacher reads them."""
    view = cfg.model.student.img_view_transformer
    batch = make_batch(
        image_size=tuple(view.image_size),
        stride=view.stride,
        point_cloud_range=model.teacher.module.point_cloud_range,
        num_boxes=(5, 3),
    )
    width = Config.fromfile(cfg.model.teacher.config).model.pts_voxel_encoder.in_channels
    generator = torch.Generator().manual_seed(0)
    batch['points'] = [
        torch.cat([points, torch.rand(len(points), width - points.shape[1], generator=generator)], dim=1)
        for points in batch['points']
    ]
    return batch


def losses_of(path, folder):
    """Every named loss term of a config, {name: float}."""
    cfg = tiny_config(path, folder)
    model = make_model(cfg)
    model.set_iteration(model.warmup_iters)  # the weights after the warm-up, those of the config
    losses = model.forward_train(**tiny_batch(cfg, model))
    return {name: float(value.detach()) for name, value in losses.items()}


def differences(expected, actual):
    """What differs between two {name: value}, in words; empty when nothing does."""
    lines = [f'{name}: in the golden file only' for name in expected.keys() - actual.keys()]
    lines += [f'{name}: not in the golden file' for name in actual.keys() - expected.keys()]
    for name in expected.keys() & actual.keys():
        if not abs(expected[name] - actual[name]) <= max(TOLERANCE * abs(expected[name]), _TINY):
            lines.append(f'{name}: {actual[name]!r}, golden {expected[name]!r}')
    return sorted(lines)


def write_golden(path, config, losses):
    """Write a golden file."""
    path.parent.mkdir(exist_ok=True)
    with replace_when_done(path) as temporary, open(temporary, 'w') as stream:
        json.dump(dict(config=config, losses=dict(sorted(losses.items()))), stream, indent=1)
        stream.write('\n')
