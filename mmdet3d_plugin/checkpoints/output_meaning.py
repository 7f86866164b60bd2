"""What the outputs of a detector mean: classes, range, cells and the like, of a model and as a file tells it.

Weights fit by name and shape whatever these are, so files keep them as plain values (``meta['detector']``). Of older
files they are read off the config's text, which is never run.
"""

from collections.abc import Mapping
from typing import Any

from torch import nn

from .config_text import look_up, read_literals

ENTRY = 'detector'
GEOMETRY = ('point_cloud_range', 'voxel_size', 'bev_cell', 'box_range')
OF_PUBLISHED = ('alignment', 'motion_source')  # published weights have seen slips here that a config must repeat
WORDS = ('velocity_mode', 'frustum_anchor', 'cameras', *OF_PUBLISHED, 'history', 'image_norm', 'virtual_time')
SETTINGS = ('depth_bound', *WORDS)


def detector_facts(model: nn.Module) -> dict[str, Any]:
    """What the outputs of a detector, or of a distiller's student, mean.

    Returns:
        plain values; those the detector has of ``tasks`` (class names of each), ``point_cloud_range`` (x, y, z
        minima, then maxima), ``voxel_size`` (x, y, z), ``bev_cell`` (x, y, of the head's maps), ``box_range`` (of which
        the centres of a query head are fractions), ``velocity_mode``, ``depth_bound`` (first, end, step),
        ``frustum_anchor``, ``cameras`` (in the order of a batch), ``alignment`` and ``history`` (of earlier frames),
        ``motion_source``, ``image_norm`` and ``virtual_time`` (what stands for the time of virtual points); metres.
    """
    detector: Any = getattr(model, 'student', model)
    return {name: _plain(value) for name, value in detector.meaning().items()} if hasattr(detector, 'meaning') else {}


def head_prefix(detector: nn.Module) -> str:
    """First part of the names of the head's weights in a detector's state dict, 'pts_bbox_head.'."""
    return next(f'{name}.' for name, module in detector.named_modules() if module is detector.head)


def class_prefixes(model: nn.Module) -> tuple[str, ...]:
    """First parts of the names of the weights that belong to the classes of a detector, or of a distiller's student."""
    detector: Any = getattr(model, 'student', model)
    if not hasattr(detector, 'head'):
        return ()
    return tuple(f'{head_prefix(detector)}{part}.' for part in detector.head.class_parts)


def checkpoint_meta(model: nn.Module) -> dict[str, Any]:
    """What every checkpoint of a run should say of its model: :func:`detector_facts`, and what the model adds."""
    facts = detector_facts(model)
    meta_of_model = getattr(model, 'checkpoint_meta', dict)
    return {**({ENTRY: facts} if facts else {}), **meta_of_model()}


def stored_facts(meta: Mapping[str, Any]) -> dict[str, Any]:
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
    if name in WORDS:
        return isinstance(value, str)
    return isinstance(value, list) and all(isinstance(number, (int, float)) for number in value)


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
