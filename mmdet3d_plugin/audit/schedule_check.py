"""Optimizer, runner and hooks of a config, built without data."""

import logging
import tempfile

import torch.distributed
from mmcv.runner import CheckpointHook, Fp16OptimizerHook, OptimizerHook, build_optimizer, build_runner
from mmdet.core import EvalHook

from .keywords import check_keywords, check_known, constructor_keywords, named_keywords
from .problems import ConfigProblem, blame

_SILENT = logging.getLogger('mmdet3d_plugin.audit')
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


def check_schedule(cfg, model, dataset_class):
    """Build what a run builds from the schedule and runtime parts of a config.

    Args:
        cfg (mmcv.Config): whole config.
        model (nn.Module): the detector it trains.
        dataset_class (type): class of ``data.val``, whose ``evaluate`` gets the options of ``evaluation``.

    Raises:
        ConfigProblem: names the setting.
    """
    with blame('optimizer'):
        optimizer = build_optimizer(model, _require(cfg, 'optimizer').copy())
    with tempfile.TemporaryDirectory() as folder:
        with blame('runner'):
            options = dict(model=model, optimizer=optimizer, work_dir=folder, logger=_SILENT)
            runner = build_runner(_require(cfg, 'runner').copy(), default_args=options)
        _check_hooks(cfg, runner)
    _check_options(cfg, dataset_class)


def _require(cfg, key):
    if cfg.get(key) is None:
        raise ConfigProblem(f'{key}: missing, training needs it')
    return cfg[key]


def _check_hooks(cfg, runner):
    registrations = dict(
        lr_config=runner.register_lr_hook,
        momentum_config=runner.register_momentum_hook,
        optimizer_config=runner.register_optimizer_hook,
        checkpoint_config=runner.register_checkpoint_hook,
        log_config=runner.register_logger_hooks,
    )
    for key in ('lr_config', 'optimizer_config'):
        _require(cfg, key)
    for key, register in registrations.items():
        with blame(key):
            register(_copy(cfg.get(key)))
    for index, hook in enumerate(cfg.get('custom_hooks') or []):
        check_keywords({key: hook[key] for key in hook if key != 'priority'}, f'custom_hooks[{index}]')
    with blame('custom_hooks'):
        runner.register_custom_hooks(_copy(cfg.get('custom_hooks')))
    with blame('workflow'):
        for mode, epochs in cfg.get('workflow', [('train', 1)]):
            if mode not in ('train', 'val') or epochs < 1:
                raise ConfigProblem(f'workflow: {(mode, epochs)} is not (train or val, number of epochs)')


def _copy(value):
    """Configs are popped from while mmcv registers their hooks; a copy through the config keeps the original whole."""
    if isinstance(value, list):
        return [_copy(item) for item in value]
    return value.copy() if isinstance(value, dict) else value


def _check_options(cfg, dataset_class):
    """Settings that are read at the end of an epoch or on a machine with GPUs only."""
    of_evaluation = constructor_keywords(EvalHook) | named_keywords(dataset_class.evaluate)[0]
    check_known(cfg.get('evaluation', {}), of_evaluation - {'dataloader', 'results', 'logger'}, 'evaluation')
    check_known(cfg.get('log_config', {}), {'interval', 'hooks'}, 'log_config')
    of_saving = constructor_keywords(CheckpointHook) | {'filename_tmpl', 'create_symlink', 'type'}
    check_known(cfg.get('checkpoint_config') or {}, of_saving, 'checkpoint_config')
    if cfg.get('fp16') is not None:
        check_known(cfg.fp16, constructor_keywords(Fp16OptimizerHook) - {'distributed'}, 'fp16')
        if 'type' in cfg.optimizer_config:
            raise ConfigProblem('fp16: not together with optimizer_config.type, one of them decides on the hook')
        check_known(cfg.optimizer_config, constructor_keywords(OptimizerHook), 'optimizer_config')
    of_group, _ = named_keywords(torch.distributed.init_process_group)
    check_known(cfg.get('dist_params', {}), of_group | {'port'}, 'dist_params')
