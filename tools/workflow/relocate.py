"""Config options that move a data set to another folder."""


def relocate(node, old, new, path=''):
    """List the ``--cfg-options`` that move every string below folder ``old`` to folder ``new``.

    Args:
        node: A config value (nested dicts, lists and leaves).
        old (str): Folder the config was written for.
        new (str): Folder to use instead.

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


def data_options(cfg, root):
    """List the ``--cfg-options`` that make a config read its data from another folder.

    Variables of the config file are left alone: the file has already used them, and the tools refuse such options.

    Args:
        cfg (mmcv.Config): Config; the folder it was written for is its ``data.val.data_root``.
        root (str): Folder to use instead.

    Returns:
        list[str]: See :func:`relocate`.
    """
    parts = {key: cfg[key].to_dict() for key in ('data', 'model')}
    return relocate(parts, cfg.data.val.data_root, root)
