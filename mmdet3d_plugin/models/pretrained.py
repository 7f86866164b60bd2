"""Optional pretrained weights named in a config: a missing file is warned of, one that fits nowhere is an error."""

import os
import warnings
from collections.abc import Mapping
from typing import Any

from mmcv.cnn import INITIALIZERS, PretrainedInit
from mmcv.cnn.utils.weight_init import update_init_info
from mmdet3d.utils import get_root_logger
from torch import nn

from ..checkpoints.files import read_checkpoint
from ..checkpoints.starting_weights import load_fitting


@INITIALIZERS.register_module(name='Pretrained', force=True)
class FittingPretrainedInit(PretrainedInit):
    """mmcv's ``Pretrained``, which says in one line what was taken over and refuses a file of which nothing fits.

    mmcv's own goes on from random weights then, and lists every key.
    """

    def __call__(self, module: nn.Module) -> None:
        """Load the weights of ``checkpoint``, those under ``prefix`` where one is given, into a module.

        Raises:
            ValueError: nothing fits.
        """
        state, _ = read_checkpoint(self.checkpoint)
        what = f'pretrained weights {self.checkpoint!r} of {type(module).__name__}'
        if self.prefix:
            start = self.prefix.rstrip('.') + '.'
            state = {name[len(start) :]: value for name, value in state.items() if name.startswith(start)}
            what += f', those under {start}'
        load_fitting(module, state, what, get_root_logger())
        if hasattr(module, '_params_init_info'):
            update_init_info(module, init_info=self._get_init_info())


def drop_missing_pretrained(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """Config of a component without its ``init_cfg`` when that names a checkpoint file that is not there.

    Training then starts from the component's own random initialisation, and a warning says so. Names with a scheme
    (``torchvision://``, ``https://``) are left to mmcv.

    Args:
        cfg: component config; not modified.

    Returns:
        a copy of ``cfg``.
    """
    cfg = dict(cfg)
    init_cfg = cfg.get('init_cfg')
    if not isinstance(init_cfg, dict) or init_cfg.get('type') != 'Pretrained':
        return cfg
    checkpoint = init_cfg['checkpoint']
    if '://' not in checkpoint and not os.path.isfile(checkpoint):
        warnings.warn(
            f'pretrained weights {checkpoint!r} of {cfg["type"]} not found: it starts from random weights. Put the '
            f'file there, or set its init_cfg to None to start from random weights without this warning.'
        )
        cfg['init_cfg'] = None
    return cfg
