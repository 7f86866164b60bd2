"""Models of a config file and batches of their sizes; no data set is needed."""

import copy

import torch
from mmcv import Config

from mmdet3d_plugin.audit.config_check import build_quietly, stand_in_for_teacher
from mmdet3d_plugin.audit.overrides import load_checked
from mmdet3d_plugin.distill import student_model_cfg
from mmdet3d_plugin.models.heads.center_decode import logit_threshold
from mmdet3d_plugin.synthetic.random_batch import make_batch

_UNSEEN_IMAGES = dict(image_size=(16, 16), stride=16)  # of a model without cameras
SURE = logit_threshold(0.1, temperature=0.1)  # from here on the response loss takes a peak for an object


def made_up_batch(cfg, args, batch_size):
    """Collated batch of the sizes of a config, see :func:`make_batch`, on ``args.device``; boxes stay on the CPU."""
    student = student_model_cfg(cfg.model)
    view = student.get('img_view_transformer')
    batch = make_batch(
        batch_size=batch_size,
        num_frames=student.get('num_frames', 1),
        num_cams=6,
        point_cloud_range=student['point_cloud_range'] if view else student['pts_voxel_layer']['point_cloud_range'],
        num_boxes=args.boxes,
        num_points=args.points,
        point_dims=_point_dims(cfg.model),
        **({key: view[key] for key in _UNSEEN_IMAGES} if view else _UNSEEN_IMAGES),
    )
    return {key: _move(value, args.device) for key, value in batch.items()}


def _point_dims(model_cfg):
    """Numbers per point that the LiDAR model of a config reads; 5 where there is none."""
    lidar = Config.fromfile(model_cfg['teacher']['config']).model if 'teacher' in model_cfg else model_cfg
    return lidar.get('pts_voxel_encoder', {}).get('in_channels', 5)


def _move(value, device):
    if isinstance(value, list):
        return [_move(item, device) for item in value]
    return value.to(device) if isinstance(value, torch.Tensor) else value


def load_distiller(args):
    """(config, DualDistill in training mode on the device, whether its teacher has random weights).

    Raises:
        ValueError: the config trains something else.
    """
    cfg = load_checked(args.config, args.cfg_options)[0]
    if cfg.model.type != 'DualDistill':
        raise ValueError(f'{args.config} trains a {cfg.model.type}: give a distillation config')
    random_teacher = stand_in_for_teacher(cfg.model)
    model, _ = build_quietly(cfg)
    model.init_weights()
    model.set_iteration(model.warmup_iters)  # as after the warm-up
    return cfg, model.to(args.device).train(), random_teacher


@torch.no_grad()
def make_teacher_sure(teacher, batch, cells):
    """Shift the heatmaps of a random teacher until it is sure of some cells, as a trained one is.

    What the response loss costs depends on how many boxes it decodes.

    Args:
        teacher (FrozenTeacher): the biases of its heatmaps are changed.
        batch (dict): collated batch that it is going to see.
        cells (int): (cell, class) pairs a sample whose logit exceeds :data:`SURE`, a score of 0.445.
    """
    head = teacher.head
    predictions = teacher.respond(teacher.extract_bev(batch).head_map, batch['img_metas'])
    for task_head, (preds,) in zip(head.task_heads, predictions):
        logits = preds['heatmap'].flatten()
        wanted = min(max(1, round(cells * len(preds['heatmap']) / len(predictions))), len(logits) - 1)
        between = logits.sort(descending=True).values[wanted - 1 : wanted + 1].mean()
        task_head.heatmap[-1].bias.add_(SURE - between)


def load_tested_model(args):
    """(config, what is tested of it, with initial weights): the student of a distiller, any other detector itself."""
    cfg = load_checked(args.config, args.cfg_options)[0]
    tested = copy.deepcopy(cfg)
    tested.model = student_model_cfg(cfg.model)
    model, _ = build_quietly(tested)
    model.init_weights()
    return cfg, model.to(args.device).eval()
