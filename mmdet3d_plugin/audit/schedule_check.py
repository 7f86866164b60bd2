"""Optimizer, runner and hooks of a config, built without data."""

import logging
import tempfile

from mmcv.runner import build_optimizer, build_runner

from .config_problem import blame
from .evaluation_options import check_evaluation
from .run_values import TRAINED, check_groups, check_values

_SILENT = logging.getLogger('mmdet3d_plugin.audit')
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


def check_schedule(cfg, model):
    """Build what a run builds from the schedule and runtime parts of a config.

    Args:
        cfg (mmcv.Config): whole config.
        model (nn.Module): the detector it trains.

    Raises:
        ConfigProblem: names the setting.
    """
    check_groups(cfg, *TRAINED, 'data.val', 'lr_config')
    check_values(cfg)
    check_evaluation(cfg)
    with blame('optimizer'):
        optimizer = build_optimizer(model, cfg.optimizer.copy())
    with tempfile.TemporaryDirectory() as folder:
        with blame('runner'):
            options = dict(model=model, optimizer=optimizer, work_dir=folder, logger=_SILENT)
            runner = build_runner(cfg.runner.copy(), default_args=options)
        _check_hooks(cfg, runner)


def _check_hooks(cfg, runner):
    registrations = dict(
        lr_config=runner.register_lr_hook,
        momentum_config=runner.register_momentum_hook,
        optimizer_config=runner.register_optimizer_hook,
        checkpoint_config=runner.register_checkpoint_hook,
        log_config=runner.register_logger_hooks,
    )
    for key, register in registrations.items():
        with blame(key):
            register(_copy(cfg.get(key)))
    with blame('custom_hooks'):
        runner.register_custom_hooks(_copy(cfg.get('custom_hooks')))
    with blame('ema_config'):
        runner.register_custom_hooks([_copy(cfg.ema_config)] if cfg.get('ema_config') else [])


def _copy(value):
    """Configs are popped from while mmcv registers their hooks; a copy through the config keeps the original whole."""
    if isinstance(value, list):
        return [_copy(item) for item in value]
    return value.copy() if isinstance(value, dict) else value
