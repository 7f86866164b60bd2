"""Every verdict on a CenterPoint teacher's checkpoint that needs no data."""

import re

from .finding import Finding
from .meta_evidence import class_finding, range_finding, version_finding
from .size_evidence import size_order_finding, task_order_finding
from .weight_evidence import coverage_finding, key_coverage, training_finding

_HEAD = 'pts_bbox_head'


def checkpoint_findings(model, state, meta):
    """Judge a checkpoint by its keys, weights and meta.

    Args:
        model (nn.Module): CenterPoint detector as its config builds it; takes over the head's weights of ``state``
            where all of them fit.
        state (dict): state dict of the file.
        meta (dict): meta of the file.

    Returns:
        list[Finding]
    """
    rows = key_coverage(model, state)
    training = training_finding(model, state)
    tasks = model.pts_bbox_head.class_names
    layer = model.pts_voxel_layer
    findings = [
        coverage_finding(rows),
        training,
        class_finding(meta, tasks),
        range_finding(meta, model.point_cloud_range, layer.voxel_size),
        version_finding(meta),
    ]
    whole_head = any(row.module == _HEAD and row.found == row.keys for row in rows)
    if training.verdict == 'wrong' or not whole_head:
        reason = 'the head has no trained weights to tell from'
        return [*findings, *(Finding(f'{what} by weights', 'unknown', reason) for what in ('boxes', 'classes'))]
    prefix = f'{_HEAD}.'
    model.pts_bbox_head.load_state_dict(
        {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}, strict=False
    )
    return [*findings, size_order_finding(model.pts_bbox_head), task_order_finding(model.pts_bbox_head)]


def file_findings(path, sha256):
    """Whether a file is whole, where its name ends in its hash, as in OpenMMLab's model zoo (``...-191a3822.pth``).

    Args:
        path (str): checkpoint file.
        sha256 (str): its hash, hexadecimal.

    Returns:
        list[Finding]: empty when the name promises nothing.
    """
    promised = re.search(r'-([0-9a-f]{8})\.\w+$', path)
    if promised is None:
        return []
    if not sha256.startswith(promised[1]):
        return [Finding('file', 'wrong', f'its hash is {sha256[:8]}, its name promises {promised[1]}: get it again')]
    return [Finding('file', 'ok', 'its hash is the one that its name promises')]
