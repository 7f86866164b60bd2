"""What a checkpoint's meta tells: class order, point cloud range, voxel size, and the age of its box convention."""

from ..compat import wrote_old_boxes
from .config_literals import look_up, read_literals
from .finding import Finding

CONVERTER = 'convert it with tools/model_converters/convert_legacy.py'


def class_finding(meta, tasks):
    """Classes and their order, from ``CLASSES`` and from the head's tasks in the stored config.

    Args:
        meta (dict): of the checkpoint.
        tasks (list[list[str]]): class names of each task of the head.

    Returns:
        Finding
    """
    ours = [list(names) for names in tasks]
    flat = [name for names in ours for name in names]
    stored = look_up(read_literals(meta.get('config') or ''), 'model', 'pts_bbox_head', 'tasks')
    theirs = [list(task['class_names']) for task in stored] if _are_tasks(stored) else None
    if theirs is not None and theirs != ours:
        return _other_order(f'trained with tasks {theirs}', ours)
    if theirs is None and meta.get('CLASSES') is None:
        return Finding('classes', 'unknown', 'the file names none: run with --data to see what the outputs stand for')
    if meta.get('CLASSES') is not None and list(meta['CLASSES']) != flat:
        return _other_order(f'trained with classes {list(meta["CLASSES"])}', flat)
    return Finding('classes', 'ok', f'{len(flat)} in the order of the config, by the meta')


def _are_tasks(stored):
    return isinstance(stored, list) and all(isinstance(task, dict) and 'class_names' in task for task in stored)


def _other_order(theirs, ours):
    return Finding('classes', 'wrong', f'{theirs}, the config has {ours}: write the order of the file into the config')


def range_finding(meta, point_cloud_range, voxel_size):
    """Point cloud range and voxel size, from the stored config.

    Args:
        meta (dict): of the checkpoint.
        point_cloud_range, voxel_size (Sequence[float]): of the config, metres.

    Returns:
        Finding
    """
    layer = look_up(read_literals(meta.get('config') or ''), 'model', 'pts_voxel_layer')
    wanted = dict(point_cloud_range=list(point_cloud_range), voxel_size=list(voxel_size))
    known = {key: look_up(layer, key) for key in wanted if isinstance(look_up(layer, key), list)}
    if not known:
        return Finding('voxels', 'unknown', 'the file does not name its range: weights alone do not show it')
    for key, theirs in known.items():
        if len(theirs) != len(wanted[key]) or any(abs(a - b) > 1e-4 for a, b in zip(theirs, wanted[key])):
            text = f'trained with {key} {theirs}, the config has {wanted[key]}: use the config it was trained with'
            return Finding('voxels', 'wrong', text)
    return Finding('voxels', 'ok', f'range and voxel size as in training: {wanted["point_cloud_range"]} m')


def version_finding(meta):
    """Box convention by the version of mmdet3d that wrote the file.

    Returns:
        Finding
    """
    version = meta.get('mmdet3d_version')
    old = wrote_old_boxes(version)
    if old is None:
        return Finding('boxes by version', 'unknown', 'the file does not say which mmdet3d wrote it')
    if old:
        text = f'mmdet3d {version} wrote w, l, h and yaw = -yaw - pi/2: {CONVERTER}'
        return Finding('boxes by version', 'wrong', text)
    return Finding('boxes by version', 'ok', f'l, w, h and counter-clockwise yaw, as mmdet3d {version} writes')
