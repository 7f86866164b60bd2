"""Optional pretrained weights named in a config."""

import os
import warnings


def drop_missing_pretrained(cfg):
    """Config of a component without its ``init_cfg`` when that names a checkpoint file that is not there.

    Training then starts from the component's own random initialisation, and a warning says so. Names with a scheme
    (``torchvision://``, ``https://``) are left to mmcv.

    Args:
        cfg: component config; not modified.

    Returns:
        dict: a copy of ``cfg``.
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
