"""What those who only start a training need to know of its config file; needs mmcv alone."""

import json


def read_config(file: str):
    """mmcv.Config: The config, without importing the modules that it names."""
    from mmcv import Config

    return Config.fromfile(file, import_custom_modules=False)


def settings_text(cfg) -> str:
    """All of a config as text, for the fingerprint of a step."""
    return json.dumps(cfg._cfg_dict.to_dict(), sort_keys=True, default=str)


def data_options(cfg, root: str) -> list:
    """List the ``--cfg-options`` that make a config read its data from another folder.

    Variables of the config file are left alone: the file has already used them, and the tools refuse such options.

    Args:
        cfg (mmcv.Config): Config; the folder it was written for is its ``data.val.data_root``.
        root: Folder to use instead.

    Returns:
        list[str]: See :func:`relocate`.
    """
    parts = {key: cfg[key].to_dict() for key in ('data', 'model')}
    return relocate(parts, cfg.data.val.data_root, root)


def relocate(node, old: str, new: str, path: str = '') -> list:
    """List the ``--cfg-options`` that move every string below folder ``old`` to folder ``new``.

    Args:
        node: A config value (nested dicts, lists and leaves).
        old: Folder the config was written for.
        new: Folder to use instead.
        path: Dotted key of ``node``.

    Returns:
        list[str]: ``key.path=value`` entries, empty when the folders are equal.
    """
    old, new = old.rstrip('/'), new.rstrip('/')
    if old == new:
        return []
    if isinstance(node, dict):
        children = node.items()
    elif isinstance(node, (list, tuple)):
        children = enumerate(node)
    elif isinstance(node, str) and (node == old or node.startswith(f'{old}/')):
        return [f'{path}={new}{node[len(old) :]}']
    else:
        return []
    return [option for key, child in children for option in relocate(child, old, new, f'{path}.{key}' if path else key)]
