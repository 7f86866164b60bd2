"""What a checkpoint's meta tells: class order, range and cells, what outputs mean, the age of its box convention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..compat import wrote_old_boxes
from .findings import Finding
from .output_meaning import ENTRY, GEOMETRY, OF_PUBLISHED, SETTINGS, stored_facts

CONVERTER = 'convert it with tools/model_converters/convert_legacy.py'
SERVED_BY = (
    'test published weights with configs/bevformer/bevformer_r50_928x1600_24e_nus_as_released.py, in place of a '
    'distillation config too; docs/checkpoints.md has the overrides for other configs'
)


def class_finding(meta: Mapping[str, Any], tasks: Sequence[Sequence[str]]) -> Finding:
    """Classes and their order, from ``CLASSES`` and from the head's tasks as the file tells them.

    Args:
        meta: of the checkpoint.
        tasks: class names of each task of the head.
    """
    ours = [list(names) for names in tasks]
    flat = [name for names in ours for name in names]
    theirs = stored_facts(meta).get('tasks')
    if theirs is not None and [list(names) for names in theirs] != ours:
        return _other_order(f'trained with tasks {theirs}', ours)
    listed = _listed_classes(meta)
    if theirs is None and listed is None:
        return Finding('classes', 'unknown', 'the file names none: run with --data to see what the outputs stand for')
    if listed is not None and listed != flat:
        return _other_order(f'trained with classes {listed}', flat)
    return Finding('classes', 'ok', f'{len(flat)} in the order of the config, by the meta')


def trained_classes(meta: Mapping[str, Any]) -> list[str] | None:
    """Class names in label order as the file tells them, None where it does not."""
    tasks = stored_facts(meta).get('tasks')
    if tasks is not None:
        return [name for names in tasks for name in names]
    return _listed_classes(meta)


def _listed_classes(meta):
    """What mmcv stores of the data set's classes; None for anything but a list of them."""
    classes = meta.get('CLASSES')
    return list(classes) if isinstance(classes, (list, tuple)) else None


def _other_order(theirs, ours):
    return Finding('classes', 'wrong', f'{theirs}, the config has {ours}: write the order of the file into the config')


def range_finding(meta: Mapping[str, Any], facts: Mapping[str, Any]) -> Finding:
    """Point cloud range, voxel size and cells of the head's maps.

    Args:
        meta: of the checkpoint.
        facts: of the model, see :func:`~mmdet3d_plugin.checkpoints.output_meaning.detector_facts`.
    """
    untold = 'the file does not name its range: weights alone do not show it'
    return _compared('range', GEOMETRY, meta, facts, untold, f'as in training: {facts["point_cloud_range"]} m')


def settings_finding(meta: Mapping[str, Any], facts: Mapping[str, Any]) -> Finding:
    """Settings that no weight shows and that change what outputs mean: kind of velocity, depth bins.

    Args:
        meta: of the checkpoint.
        facts: of the model, see :func:`~mmdet3d_plugin.checkpoints.output_meaning.detector_facts`.
    """
    untold = 'the file does not name those that change what its outputs mean'
    return _compared('settings', SETTINGS, meta, facts, untold, 'as trained')


def _compared(subject, names, meta, facts, untold, agreed):
    """Finding on those of ``names`` that both the file and the model have."""
    theirs = stored_facts(meta)
    known = {name: theirs[name] for name in names if name in theirs and name in facts}
    if not known:
        return Finding(subject, 'unknown', untold)
    wrong = _difference(known, facts, published='converted_from' in meta)
    return Finding(subject, 'wrong', wrong) if wrong else Finding(subject, 'ok', f'{", ".join(known)} {agreed}')


def _difference(known, facts, published):
    """Words for the first value that differs, None when all agree; metres to a tenth of a millimetre."""
    for name, theirs in known.items():
        if not _same(theirs, facts[name]):
            way_out = SERVED_BY if published and name in OF_PUBLISHED else 'use the config it was trained with'
            return f'trained with {name} {theirs}, the config has {facts[name]}: {way_out}'
    return None


def _same(theirs, ours):
    if isinstance(theirs, str) or isinstance(ours, str):
        return theirs == ours
    return len(theirs) == len(ours) and all(abs(a - b) <= 1e-4 for a, b in zip(theirs, ours))


def version_finding(meta: Mapping[str, Any]) -> Finding:
    """Box convention by the version of mmdet3d that wrote the file, or by its being written by this code."""
    version = meta.get('mmdet3d_version')
    old = wrote_old_boxes(version)
    if old:
        text = f'mmdet3d {version} wrote w, l, h and yaw = -yaw - pi/2: {CONVERTER}'
        return Finding('boxes by version', 'wrong', text)
    if old is None and ENTRY not in meta and 'dualdistill_version' not in meta:
        return Finding('boxes by version', 'unknown', 'the file does not say which mmdet3d wrote it')
    writer = 'this code' if old is None else f'mmdet3d {version}'
    return Finding('boxes by version', 'ok', f'l, w, h and counter-clockwise yaw, as {writer} writes')
