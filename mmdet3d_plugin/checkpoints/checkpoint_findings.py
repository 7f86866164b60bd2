"""Every verdict on a detector's checkpoint that needs no data."""

import re
from collections.abc import Mapping
from typing import Any

from mmdet3d.models.detectors import Base3DDetector
from torch import Tensor, nn

from .findings import Finding
from .key_fit import compare_keys
from .output_meaning import detector_facts, head_prefix
from .told_by_meta import class_finding, range_finding, settings_finding, version_finding
from .told_by_weights import coverage_finding, key_coverage, size_order_finding, task_order_finding, training_finding


def meaning_findings(model: nn.Module, meta: Mapping[str, Any]) -> list[Finding]:
    """Judge by its meta whether a file's outputs mean what the model's do.

    Args:
        model: detector or distiller as its config builds it.
        meta: meta of the file.

    Returns:
        empty for a detector that has no classes, range or settings.
    """
    facts = detector_facts(model)
    findings = [class_finding(meta, facts['tasks'])] if 'tasks' in facts else []
    if 'point_cloud_range' in facts:
        findings += [range_finding(meta, facts), settings_finding(meta, facts)]
    return [*findings, version_finding(meta)] if findings else []


def output_findings(model: Base3DDetector, state: Mapping[str, Tensor], training: Finding) -> list[Finding]:
    """Judge by the weights of the head's size outputs, where there are trained ones.

    Args:
        model: detector with a CenterPoint head; takes over the head's weights of ``state``.
        state: state dict of the file.
        training: see :func:`training_finding`.
    """
    head, prefix = model.head, head_prefix(model)
    of_head = {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}
    fit = compare_keys(head, of_head)
    whole_head = not (fit.missing or fit.misshaped)
    if training.verdict == 'wrong' or not whole_head:
        reason = 'the head has no trained weights to tell from'
        return [Finding(f'{what} by weights', 'unknown', reason) for what in ('boxes', 'classes')]
    head.load_state_dict(of_head, strict=False)
    return [size_order_finding(head), task_order_finding(head)]


def checkpoint_findings(model: nn.Module, state: Mapping[str, Tensor], meta: Mapping[str, Any]) -> list[Finding]:
    """Judge a checkpoint by its keys, weights and meta.

    Args:
        model: CenterPoint detector as its config builds it; takes over the head's weights of ``state``
            where all of them fit.
        state: state dict of the file.
        meta: meta of the file.
    """
    training = training_finding(model, state)
    found = [coverage_finding(key_coverage(model, state)), training, *meaning_findings(model, meta)]
    return (
        [*found, *output_findings(model, state, training)]
        if hasattr(getattr(model, 'head', None), 'task_heads')
        else found
    )


def file_findings(path: str, sha256: str) -> list[Finding]:
    """Whether a file is whole, where its name ends in its hash, as in OpenMMLab's model zoo (``...-191a3822.pth``).

    Args:
        path: checkpoint file.
        sha256: its hash, hexadecimal.

    Returns:
        empty when the name promises nothing.
    """
    promised = re.search(r'-([0-9a-f]{8})\.\w+$', path)
    if promised is None:
        return []
    if not sha256.startswith(promised[1]):
        return [Finding('file', 'wrong', f'its hash is {sha256[:8]}, its name promises {promised[1]}: get it again')]
    return [Finding('file', 'ok', 'its hash is the one that its name promises')]
