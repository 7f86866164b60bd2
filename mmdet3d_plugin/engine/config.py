"""Config files as the command-line tools read them."""

from __future__ import annotations

import os.path as osp
from collections.abc import Mapping
from typing import Any

from mmcv import Config

# What training, testing and their launchers read from a config file. Other top-level names are variables of the file.
RUN_KEYS = frozenset(
    [
        *('model', 'train_cfg', 'test_cfg', 'data', 'custom_imports'),
        *('optimizer', 'optimizer_config', 'lr_config', 'momentum_config', 'runner', 'workflow', 'fp16'),
        *('checkpoint_config', 'log_config', 'ema_config', 'custom_hooks', 'evaluation', 'find_unused_parameters'),
        *('seed', 'gpu_ids', 'work_dir', 'load_from', 'resume_from', 'auto_resume', 'log_level'),
        *('dist_params', 'opencv_num_threads', 'mp_start_method'),
    ]
)


def load_config(filename: str, cfg_options: Mapping[str, Any] | None = None, work_dir: str | None = None) -> Config:
    """Read a config file, apply overrides and settle the work directory.

    Args:
        filename: Config file.
        cfg_options: Overrides with dotted keys, as given to ``--cfg-options``.
        work_dir: Wins over the config's; without either it is ``outputs/<config name>``.

    Returns:
        With ``work_dir`` set; ``custom_imports`` of the file are already imported.

    Raises:
        FileNotFoundError: No such config file.
    """
    cfg = Config.fromfile(filename)
    if cfg_options:
        cfg.merge_from_dict(cfg_options)
    if work_dir is not None:
        cfg.work_dir = work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = osp.join('outputs', osp.splitext(osp.basename(filename))[0])
    return cfg


def run_hooks(cfg: Config) -> list[Mapping[str, Any]]:
    """Configs of the hooks of a run: its ``custom_hooks``, and the EMA hook of its ``ema_config``, which a config can
    name without repeating the list of its base."""
    ema = cfg.get('ema_config')
    return [*(cfg.get('custom_hooks') or []), *([ema] if ema else [])]


def require_distiller(cfg: Config, filename: str) -> None:
    """Refuse a config that does not distil.

    Raises:
        ValueError: Names the file and what it trains.
    """
    if cfg.model.type != 'DualDistill':
        raise ValueError(f'{filename} trains a {cfg.model.type}: give a distillation config')
