"""Models in a few calls, for notebooks and for the tools: build one, load a trained student, detect.

The examples run in a test, from the repository root, with ``checkpoint`` and ``sample`` made there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmcv import Config
from mmcv.cnn import fuse_conv_bn
from mmcv.parallel import collate, scatter
from mmcv.runner import wrap_fp16_model
from mmdet3d.models import build_model as build_from_config
from mmdet3d.utils import get_root_logger

from ..checkpoints.starting_weights import load_to_test
from ..distill import student_model_cfg
from ..models.detectors import BEVDetector
from ..models.initial_weights import initialise
from .config import load_config
from .distributed import pick_device


def build_model(
    config: str | Config, cfg_options: Mapping[str, Any] | None = None, *, verbose: bool = False
) -> torch.nn.Module:
    """The model of a config with initial weights: a detector, or a distiller with its student and its teacher.

    Args:
        config: config file, or one that is read already.
        cfg_options: overrides with dotted keys, as ``--cfg-options`` takes them.
        verbose: log how each parameter is initialised.

    Example:
        >>> model = build_model('configs/quickstart/bevdepth4d_toy.py')
        >>> model.bev_levels()['head'].grid.size
        (48, 48)
    """
    cfg = _read(config, cfg_options)
    model = build_from_config(cfg.model, train_cfg=cfg.get('train_cfg'), test_cfg=cfg.get('test_cfg'))
    initialise(model, verbose=verbose)
    return model


def load_student(
    config: str | Config, checkpoint: str, cfg_options: Mapping[str, Any] | None = None, *, fuse: bool = False
) -> BEVDetector:
    """The detector that a checkpoint is tested as, on the device there is, ready to answer.

    Of a distillation config that is the student: neither its teacher nor points are needed. Any other config is the
    detector itself, so a teacher can be loaded as well.

    Args:
        config: config file, or one that is read already.
        checkpoint: file of weights. Every key must fit, and its outputs must mean what the config says.
        cfg_options: see :func:`build_model`.
        fuse: fold batch norms into the convolutions before them.

    Raises:
        FileNotFoundError, ValueError: the file is not there, or does not fit; names keys or values.

    Example:
        >>> student = load_student('configs/quickstart/dualdistill_toy.py', checkpoint)
        >>> type(student).__name__, student.training
        ('BEVDepth4D', False)
    """
    cfg = _read(config, cfg_options)
    model = build_from_config(student_model_cfg(cfg.model), test_cfg=cfg.get('test_cfg'))
    if cfg.get('fp16') is not None:
        wrap_fp16_model(model)
    meta = load_to_test(model, checkpoint, cfg.filename or 'the config', get_root_logger())
    if fuse:
        model = fuse_conv_bn(model)
    model.CLASSES = meta.get('CLASSES', cfg.get('class_names'))
    return model.to(pick_device()).eval()


def collate_sample(sample: Mapping[str, Any]) -> dict[str, Any]:
    """A batch of one sample of a data set, on the device there is."""
    device = torch.cuda.current_device() if pick_device() == 'cuda' else -1
    (batch,) = scatter(collate([sample], samples_per_gpu=1), [device])
    return batch


def detect(model: BEVDetector, sample: Mapping[str, Any]) -> dict[str, Any]:
    """What a detector sees in one sample of a data set.

    Args:
        model: see :func:`load_student`.
        sample: ``dataset[i]`` of the config's ``data.test``.

    Returns:
        ``boxes_3d`` (``LiDARInstance3DBoxes`` x, y, z, l, w, h, yaw, vx, vy; z at the bottom; metres, radians,
        m/s), ``scores_3d`` (N,) float32 and ``labels_3d`` (N,) int64, index into ``model.head.classes``; on the CPU.

    Example:
        >>> found = detect(load_student('configs/quickstart/dualdistill_toy.py', checkpoint), sample)
        >>> sorted(found)
        ['boxes_3d', 'labels_3d', 'scores_3d']
    """
    with torch.no_grad():
        return model(return_loss=False, **collate_sample(sample))[0]['pts_bbox']


def _read(config, cfg_options):
    if isinstance(config, Config):
        if cfg_options:
            raise ValueError('cfg_options go with the name of a config file: merge them into the config yourself')
        return config
    return load_config(config, cfg_options)
