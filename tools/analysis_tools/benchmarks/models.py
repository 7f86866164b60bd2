"""Models of a config file, built in one place for all benchmarks, and batches of its sizes; no data set is needed."""

import copy

import torch

from mmdet3d_plugin.audit.config_check import stand_in_for_teacher
from mmdet3d_plugin.audit.overrides import load_checked
from mmdet3d_plugin.datasets.wrapped import first_reader
from mmdet3d_plugin.distill import student_model_cfg
from mmdet3d_plugin.engine import build_model, load_student
from mmdet3d_plugin.engine.config import require_distiller
from mmdet3d_plugin.engine.pipeline_agreement import effective
from mmdet3d_plugin.models.heads.bev_center_head import BEVCenterHead
from mmdet3d_plugin.models.heads.center_decode import logit_threshold
from mmdet3d_plugin.structures.virtual_points import POINT_COLUMNS
from mmdet3d_plugin.synthetic.random_batch import ORIGINAL_SIZE, make_batch

_UNSEEN_IMAGES = dict(image_size=(16, 16), stride=16)  # of data without cameras
SURE = logit_threshold(0.1, temperature=0.1)  # from here on the response loss takes a peak for an object


def read_config(args):
    """mmcv.Config: that of the command line, checked for settings that nothing reads."""
    return load_checked(args.config, args.cfg_options)[0]


def build_distiller(cfg, args):
    """(DualDistill in training mode on ``args.device``, whether its teacher has random weights).

    Raises:
        ValueError: the config trains something else.
    """
    require_distiller(cfg, args.config)
    random_teacher = stand_in_for_teacher(cfg.model)
    model = build_model(cfg)
    model.set_iteration(model.warmup_iters)  # as after the warm-up
    return model.to(args.device).train(), random_teacher


def build_tested(cfg, device, checkpoint=None):
    """What is tested of a config: the student of a distiller, any other detector itself; initial weights without a
    checkpoint."""
    if checkpoint:
        return load_student(cfg, checkpoint).to(device)
    tested = copy.deepcopy(cfg)
    tested.model = student_model_cfg(cfg.model)
    return build_model(tested).to(device).eval()


def made_up_batch(cfg, detector, args, batch_size, testing=False):
    """Collated batch of the sizes of a config's training data, see :func:`make_batch`; boxes stay on the CPU.

    Args:
        cfg (mmcv.Config): its pipeline tells image size, stride of the depth maps and numbers per point.
        detector (BEVDetector): its levels tell the range.
        args (argparse.Namespace): ``boxes`` and ``points`` a sample, and ``device``.
        batch_size (int): samples.
        testing (bool): a detector that remembers frames gets one, as at test, and not its queue.
    """
    steps = _training_pipeline(cfg.data.train)
    image_size, stride = _image_size(steps), _setting(steps, 'downsample')
    queue = 1 if testing and detector.sequential else _setting(steps, 'queue_length')
    grid = next(iter(detector.bev_levels().values())).grid
    batch = make_batch(
        batch_size=batch_size,
        num_frames=queue or student_model_cfg(cfg.model).get('num_frames', 1),
        num_cams=6,
        point_cloud_range=(grid.x_min, grid.y_min, -5.0, grid.x_max, grid.y_max, 3.0),
        num_boxes=args.boxes,
        num_points=args.points,
        point_dims=POINT_COLUMNS if any('VirtualPoints' in step['type'] for step in steps) else 5,
        **(_UNSEEN_IMAGES if image_size is None else dict(image_size=image_size, stride=stride or 16)),
    )
    return {key: _move(value, args.device) for key, value in batch.items()}


def _training_pipeline(data):
    return first_reader(data)['pipeline']


def _image_size(steps):
    """(H, W) that the pipeline makes of nuScenes' images, None without cameras."""
    final_dim, divisor = _setting(steps, 'final_dim'), _setting(steps, 'size_divisor')
    if final_dim is not None or divisor is None:
        return final_dim and tuple(final_dim)
    (scale,) = (effective(step, 'scale') for step in steps if step['type'] == 'NormalizePad')
    return tuple(-(-round(side * scale) // divisor) * divisor for side in ORIGINAL_SIZE)


def _setting(steps, key):
    """The value that the first step with such an argument has for it, None where none has."""
    return next((value for value in (effective(step, key) for step in steps) if value is not None), None)


def _move(value, device):
    if isinstance(value, list):
        return [_move(item, device) for item in value]
    return value.to(device) if isinstance(value, torch.Tensor) else value


@torch.no_grad()
def make_center_head_sure(teacher, batch, cells):
    """Shift the heatmaps of a random teacher until it is sure of some cells, as a trained one is.

    What the response loss costs depends on how many boxes it decodes. Only CenterPoint's head has heatmaps to shift;
    a teacher with another head stays as it is.

    Args:
        teacher (FrozenTeacher): the biases of its heatmaps are changed.
        batch (dict): collated batch that it is going to see.
        cells (int): (cell, class) pairs a sample whose logit exceeds :data:`SURE`, a score of 0.445.
    """
    if not isinstance(teacher.head, BEVCenterHead):
        return
    predictions = teacher.respond(teacher.extract_bev(batch).head_map, batch['img_metas'])
    for task_head, (preds,) in zip(teacher.head.task_heads, predictions):
        logits = preds['heatmap'].flatten()
        wanted = min(max(1, round(cells * len(preds['heatmap']) / len(predictions))), len(logits) - 1)
        between = logits.sort(descending=True).values[wanted - 1 : wanted + 1].mean()
        task_head.heatmap[-1].bias.add_(SURE - between)
