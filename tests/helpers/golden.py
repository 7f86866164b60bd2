"""Losses of a distillation config on a tiny generated batch, and the files that hold what they must be.

Full-size configs are shrunk: :mod:`golden_sizes` replaces sizes (channels, ranges, cells, numbers of blocks) and takes
dropout and masks away, so levels, aligners, losses, weights and targets stay those of the config.
"""

import json
import logging
import warnings

import torch
from mmcv import Config
from mmdet3d.models import build_model

from helpers.batch import make_batch
from helpers.golden_sizes import SIZES
from mmdet3d_plugin.datasets.wrapped import first_reader
from mmdet3d_plugin.structures.atomic_file import replace_when_done
from mmdet3d_plugin.structures.virtual_points import POINT_COLUMNS

TOLERANCE = 1e-4  # relative
_TINY = 1e-9  # a loss below it is zero
_IMAGE_SIZE = (64, 160)  # of a student that takes images of any size


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
    student = cfg.model.student
    if (student.get('point_cloud_range') or student.bev_encoder.point_cloud_range)[3] > 30:
        cfg.merge_from_dict(dict(model=dict(student=SIZES[student.type])))
        teacher.merge_from_dict(dict(model=SIZES[teacher.model.type]))
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
    head = model.teacher.head
    dense = hasattr(head, 'task_heads')  # else a query head, whose class scores differ less
    for layers in [task.heatmap for task in head.task_heads] if dense else head.cls_branches:
        torch.nn.init.constant_(layers[-1].bias, -0.2 if dense else -1.77)
    return model.train()


def tiny_batch(cfg, model):
    """Two samples in the sizes of the config, points as wide as its teacher reads them."""
    view = cfg.model.student.get('img_view_transformer') or dict(image_size=_IMAGE_SIZE, stride=16)
    batch = make_batch(
        num_frames=queue_length(cfg) or 2,
        image_size=tuple(view['image_size']),
        stride=view['stride'],
        point_cloud_range=model.teacher.module.point_cloud_range,
        num_boxes=(5, 3),
    )
    width = point_numbers(Config.fromfile(cfg.model.teacher.config).model)
    generator = torch.Generator().manual_seed(0)
    batch['points'] = [
        torch.cat([points, torch.rand(len(points), width - points.shape[1], generator=generator)], dim=1)
        for points in batch['points']
    ]
    return batch


def point_numbers(detector):
    """How many numbers a LiDAR detector's config takes of a point."""
    encoder = detector.pts_voxel_encoder
    return encoder.get('in_channels') or encoder.get('num_features') or POINT_COLUMNS


def queue_length(cfg):
    """Frames of a training sample of a student that remembers them; None for any other."""
    steps = first_reader(cfg.data.train).pipeline
    return next((step.queue_length for step in steps if step.type == 'SelectKeyframeQueue'), None)


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
