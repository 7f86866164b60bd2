"""A training run: loaders, wrapped detector, optimizer, runner and hooks, all from the config."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from typing import Any

import torch
from mmcv import Config
from mmcv.runner import (
    BaseRunner,
    DistSamplerSeedHook,
    Fp16OptimizerHook,
    build_optimizer,
    build_runner,
    get_dist_info,
)
from mmdet.core import DistEvalHook, EvalHook
from mmdet.datasets import build_dataloader
from mmdet.utils import compat_cfg
from torch import nn
from torch.utils.data import Dataset

from ..checkpoints.output_meaning import checkpoint_meta
from ..hooks.resumable_checkpoint import ResumableCheckpointHook, SaveScoreHook
from .cacheable import check_cacheable
from .config import run_hooks
from .distributed import pick_device, wrap_model
from .ordered_loader import build_ordered_loader, has_own_order
from .pipeline_agreement import check_pipelines
from .preflight import check_classes, check_data, check_evaluation_data
from .resume import already_trained, start_from
from .runners import RESUMABLE
from .scene_order import DistSceneEvalHook, SceneEvalHook
from .test import build_test_loader

_OF_MANY_PROCESSES = ('broadcast_bn_buffer', 'tmpdir', 'gpu_collect')


def _train_loader(dataset, cfg, distributed):
    options: dict[str, Any] = dict(samples_per_gpu=2, workers_per_gpu=2)
    options.update(cfg.data.get('train_dataloader', {}))
    if has_own_order(dataset):
        return build_ordered_loader(dataset, seed=cfg.seed, **options)
    # epoch by epoch with every runner of ours, see ResumableIterRunner
    runner_type = 'EpochBasedRunner' if cfg.runner.type in RESUMABLE else cfg.runner.type
    return build_dataloader(dataset, dist=distributed, seed=cfg.seed, runner_type=runner_type, **options)


def _optimizer_hook(cfg, distributed):
    if cfg.get('fp16') is None:
        return cfg.optimizer_config
    return Fp16OptimizerHook(**cfg.optimizer_config, **cfg.fp16, distributed=distributed)


def _register_checkpoints(runner, cfg):
    """Our checkpoint hook for our runners and mmcv's settings; a hook or runner of another type as mmcv does."""
    options = cfg.get('checkpoint_config')
    if not options or cfg.runner.type not in RESUMABLE or options.get('type', 'CheckpointHook') != 'CheckpointHook':
        runner.register_checkpoint_hook(options)
        return
    options = dict(by_epoch=cfg.runner.type != 'IterBasedRunner', **options) if 'by_epoch' not in options else options
    hook = ResumableCheckpointHook(**{name: value for name, value in options.items() if name != 'type'})
    runner.register_hook(hook, priority='BELOW_NORMAL')
    runner.register_hook(SaveScoreHook(hook), priority=80)  # after the evaluation (LOW), before the logs (VERY_LOW)


def _register_evaluation(runner, cfg, distributed):
    model = runner.model.module
    check_pipelines(model, cfg.data.val, 'data.val')
    dataset, loader = build_test_loader(cfg, distributed, split='val', model=model)
    check_classes(model, dataset)
    options = dict(cfg.get('evaluation', {}), by_epoch=cfg.runner.type != 'IterBasedRunner')
    check_evaluation_data(dataset, options.get('backend'))
    if not distributed:  # the hook of one process would hand these on to the data set
        options = {key: value for key, value in options.items() if key not in _OF_MANY_PROCESSES}
    hooks = (SceneEvalHook, DistSceneEvalHook) if getattr(model, 'sequential', False) else (EvalHook, DistEvalHook)
    hook = hooks[distributed]
    runner.register_hook(hook(loader, **options), priority='LOW')


def _build_runner(wrapped, cfg, logger, distributed, timestamp, meta):
    """mmcv's runner with the hooks of training; checkpoints and evaluation are registered by the caller."""
    optimizer = build_optimizer(wrapped, cfg.optimizer)
    options = dict(model=wrapped, optimizer=optimizer, work_dir=cfg.work_dir, logger=logger, meta=meta)
    runner = build_runner(dict(cfg.runner, type=RESUMABLE.get(cfg.runner.type, cfg.runner.type)), default_args=options)
    runner.timestamp = timestamp
    runner.register_training_hooks(
        cfg.lr_config,
        _optimizer_hook(cfg, distributed),
        None,
        cfg.log_config,
        cfg.get('momentum_config'),
        custom_hooks_config=run_hooks(cfg),
    )
    return runner


def _check(model, dataset, cfg):
    """What can be wrong between model, training set and config."""
    check_classes(model, dataset)
    check_pipelines(model, cfg.data.get('train'), 'data.train')
    check_cacheable(model, cfg.data.get('train'), 'data.train')
    check_data(dataset)


def train_detector(
    model: nn.Module,
    dataset: Dataset,
    cfg: Config,
    logger: logging.Logger,
    distributed: bool = False,
    validate: bool = True,
    timestamp: str | None = None,
    meta: Mapping[str, Any] | None = None,
) -> BaseRunner:
    """Train a detector as its config says.

    Args:
        model: Detector, weights initialised, not wrapped.
        dataset: Training set with a ``flag`` per sample.
        cfg: Needs ``work_dir`` and ``seed``. ``resume_from`` wins over ``auto_resume``, both over
            ``load_from``.
        logger: Where the runner writes.
        distributed: The process group is up and gradients are averaged.
        validate: Evaluate ``data.val`` as ``evaluation`` says.
        timestamp: Common stem of the log files.
        meta: Stored in checkpoints; the seed is added, what the detector's outputs mean, and what its
            ``checkpoint_meta()`` returns, when it has one.

    Returns:
        The runner after its last epoch.

    Raises:
        FileNotFoundError: Files of the data sets are missing, found before the first iteration.
        ValueError: The data sets have other classes than the detector, or their pipelines other settings.
    """
    cfg = compat_cfg(copy.deepcopy(cfg))
    _check(model, dataset, cfg)
    loader = _train_loader(dataset, cfg, distributed)
    wrapped = wrap_model(model, pick_device(), distributed, cfg.get('find_unused_parameters', False))
    meta = dict(meta or {}, seed=cfg.seed, **checkpoint_meta(model))
    runner = _build_runner(wrapped, cfg, logger, distributed, timestamp, meta)
    _register_checkpoints(runner, cfg)
    if hasattr(loader.sampler, 'set_epoch') and cfg.runner.type != 'IterBasedRunner':
        runner.register_hook(DistSamplerSeedHook())
    if validate:
        _register_evaluation(runner, cfg, distributed)
    start_from(runner, cfg)
    if already_trained(runner):
        return runner
    processes, threads = get_dist_info()[1], torch.get_num_threads()
    logger.info(f'device {pick_device()}, {processes} process(es) of {threads} CPU thread(s), seed {cfg.seed}')
    runner.run([loader], cfg.workflow)
    return runner
