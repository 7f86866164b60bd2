"""What the outputs of a detector mean: classes, range, cells and the like, of a model and as a file tells it.

Weights fit by name and shape whatever these are, so files keep them as plain values (``meta['detector']``). Of older
files they are read off the config's text, which is never run.
"""

from typing import Any

from torch import nn

from ..audit.config_literals import look_up, read_literals

ENTRY = 'detector'
GEOMETRY = ('point_cloud_range', 'voxel_size', 'bev_cell')
SETTINGS = ('velocity_mode', 'depth_bound', 'frustum_anchor')


def detector_facts(model: nn.Module) -> dict:
    """What the outputs of a detector, or of a distiller's student, mean.

    Returns:
        dict: plain values; those the detector has of ``tasks`` (class names of each), ``point_cloud_range`` (x, y, z
        minima, then maxima), ``voxel_size`` (x, y, z), ``bev_cell`` (x, y, of the head's maps), ``velocity_mode``,
        ``depth_bound`` (first, end, step) and ``frustum_anchor``; metres.
    """
    model = getattr(model, 'student', model)
    head = getattr(model, 'pts_bbox_head', None)
    transform = getattr(model, 'img_view_transformer', None)
    coder = getattr(head, 'bbox_coder', None)
    facts = dict(
        tasks=_nested(getattr(head, 'class_names', None)),
        point_cloud_range=getattr(model, 'point_cloud_range', None),
        voxel_size=getattr(getattr(model, 'pts_voxel_layer', None), 'voxel_size', None),
        bev_cell=_cell(getattr(coder, 'voxel_size', None), getattr(coder, 'out_size_factor', None)),
        velocity_mode=getattr(head, 'velocity_mode', None),
        depth_bound=getattr(transform, 'depth_bound', None),
        frustum_anchor=getattr(transform, 'frustum_anchor', None),
    )
    return {name: _plain(value) for name, value in facts.items() if value is not None}


def checkpoint_meta(model: nn.Module) -> dict:
    """What every checkpoint of a run should say of its model: :func:`detector_facts`, and what the model adds."""
    facts = detector_facts(model)
    own = model.checkpoint_meta() if hasattr(model, 'checkpoint_meta') else {}
    return {**({ENTRY: facts} if facts else {}), **own}


def stored_facts(meta: dict) -> dict:
    """The same as :func:`detector_facts`, as far as a file tells it.

    Args:
        meta: of the file; its ``detector``, else the text of its config is read.
    """
    if isinstance(meta.get(ENTRY), dict):
        return {name: value for name, value in meta[ENTRY].items() if _is_fact(name, value)}
    model = look_up(read_literals(str(meta.get('config') or '')), 'model')
    model = look_up(model, 'student') or model
    head, transform = look_up(model, 'pts_bbox_head'), look_up(model, 'img_view_transformer')
    tasks, layer, coder = look_up(head, 'tasks'), look_up(model, 'pts_voxel_layer'), look_up(head, 'bbox_coder')
    facts = dict(
        tasks=[task['class_names'] for task in tasks] if _are_tasks(tasks) else None,
        point_cloud_range=look_up(layer, 'point_cloud_range') or look_up(model, 'point_cloud_range'),
        voxel_size=look_up(layer, 'voxel_size'),
        bev_cell=_cell(look_up(coder, 'voxel_size'), look_up(coder, 'out_size_factor')),
        velocity_mode=_with_default(head, 'BEVCenterHead', 'velocity_mode', 'velocity'),
        depth_bound=look_up(transform, 'depth_bound'),
        frustum_anchor=_with_default(transform, 'LSSViewTransform', 'frustum_anchor', 'center'),
    )
    return {name: value for name, value in facts.items() if _is_fact(name, value)}


def _is_fact(name, value):
    """Whether a value that a file gives is of the kind that belongs to the name: files may hold anything."""
    if name == 'tasks':
        return isinstance(value, list) and all(
            isinstance(task, list) and all(isinstance(word, str) for word in task) for task in value
        )
    if name in ('velocity_mode', 'frustum_anchor'):
        return isinstance(value, str)
    return isinstance(value, list) and all(isinstance(number, (int, float)) for number in value)


def _nested(names):
    """Class names by task; None for a head that is built otherwise."""
    return names if names and all(isinstance(task, (list, tuple)) for task in names) else None


def _are_tasks(value):
    return isinstance(value, list) and all(isinstance(task, dict) and 'class_names' in task for task in value)


def _with_default(cfg, kind, key, default):
    """A setting of a component's config; its default for a component of this code that leaves it out."""
    return look_up(cfg, key) or (default if look_up(cfg, 'type') == kind else None)


def _cell(voxel_size, factor):
    """Edges of a cell of the head's maps along x and y, metres."""
    if not isinstance(voxel_size, (list, tuple)) or not isinstance(factor, (int, float)):
        return None
    return [float(size) * factor for size in voxel_size[:2]]


def _plain(value: Any) -> Any:
    """Lists, floats and words alone, so that a file with them needs no trust."""
    value = value.tolist() if hasattr(value, 'tolist') else value
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if isinstance(value, str) else float(value)
