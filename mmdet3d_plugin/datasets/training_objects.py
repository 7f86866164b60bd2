"""Whether anything is left to train on, and the error that says which step took the objects.

A training set skips samples without objects. When no sample keeps one, because boxes are in millimetres or the range is
another car's, it would skip for ever.
"""

import re
from dataclasses import dataclass

import numpy as np
from mmdet3d.datasets.pipelines import ObjectNameFilter, ObjectRangeFilter

from .infos.info_columns import COUNTS, InfoColumns

_MOST_SAMPLES = 2000  # looked at; they take a few seconds
_FILTERS = (ObjectRangeFilter, ObjectNameFilter)  # the steps that need nothing but the annotations


class NoObjectsError(ValueError):
    """No sample keeps an object to train on; the message says how many are left after each step."""


@dataclass
class _Count:
    """Objects left after one step, and samples that have any."""

    step: str
    objects: int = 0
    samples: int = 0

    def add(self, objects):
        self.objects += objects
        self.samples += objects > 0


def classes_seen(dataset, columns: InfoColumns, labelled: np.ndarray) -> np.ndarray:
    """Which classes training sees in which sample.

    Args:
        dataset (NuScenesBEVDataset): Data set with its classes and rules.
        columns: Of its N infos.
        labelled: (N,) bool, which of them have labels for training to see.

    Returns:
        (N, classes) bool.

    Raises:
        ValueError: None in any labelled sample, although samples without an object are to be left out.
    """
    counts = columns.counts * labelled[:, None, None]
    seen = counts[:, :, COUNTS.index('valid' if dataset.use_valid_flag else 'lidar')]
    has_class = np.zeros((len(seen), len(dataset.CLASSES)), dtype=bool)
    for column, name in enumerate(columns.names):
        if name in dataset.cat2id:
            has_class[:, dataset.cat2id[name]] = seen[:, column] > 0
    if not dataset.test_mode and dataset.filter_empty_gt and labelled.any() and not has_class.any():
        totals = counts[:, :, COUNTS.index('all')].sum(axis=0).tolist()
        names = dict(zip(columns.names, totals))
        raise ValueError(
            f'{dataset.ann_file}: no sample has an object of {dataset.CLASSES} to train on. Of {sum(totals)} objects, '
            f'{seen.sum()} have a point of the LiDAR{" or radar" * dataset.use_valid_flag}; by name: {names}'
        )
    return has_class


def check_objects_left(dataset) -> None:
    """Raise if the filters of a data set's pipeline leave no object in any sample; stops at the first that keeps one.

    Looks at annotations only, without augmentation, at up to 2,000 samples that have objects of the classes.

    Args:
        dataset (NuScenesBEVDataset): Training data set with a pipeline.

    Raises:
        NoObjectsError: Says what each step leaves.
    """
    candidates = [index for index in range(len(dataset)) if dataset.get_cat_ids(index)]
    step = -(-len(candidates) // _MOST_SAMPLES) or 1
    counts = _new_counts(dataset)
    for index in candidates[::step]:
        if _count_sample(dataset, index, counts):
            return
    if candidates:
        raise NoObjectsError(_message(dataset, counts, candidates[::step]))


def explain_failed_tries(dataset, indices: list) -> NoObjectsError:
    """The error for samples of which the whole pipeline has left none with an object.

    Args:
        dataset (NuScenesBEVDataset): Training data set with a pipeline.
        indices (list[int]): Samples that were tried.
    """
    counts = _new_counts(dataset)
    for index in indices:
        _count_sample(dataset, index, counts)
    counts.append(_Count('after the whole pipeline, augmented'))
    return NoObjectsError(_message(dataset, counts, indices))


def _filters(dataset):
    return [step for step in dataset.pipeline.transforms if isinstance(step, _FILTERS)]


def _new_counts(dataset):
    seen = 'LiDAR or radar' if dataset.use_valid_flag else 'LiDAR'
    steps = ['in the info file', f'with a {seen} point', f'of the classes {", ".join(dataset.CLASSES)}']
    return [_Count(step) for step in [*steps, *(f'after {_shown(step)}' for step in _filters(dataset))]]


def _shown(step):
    """A step with its arguments, whose float32 numbers are rounded as their author wrote them: -51.2."""
    return re.sub(r'-?\d+\.\d{7,}', lambda number: f'{float(number[0]):g}', repr(step))


def _count_sample(dataset, index, counts):
    """Add the objects of one sample to ``counts``; returns how many are left after the last step."""
    annotations = dataset.get_ann_info(index)
    left = [len(dataset.data_infos[index]['gt_names']), len(annotations['gt_labels_3d'])]
    left.append(int((annotations['gt_labels_3d'] >= 0).sum()))
    for step in _filters(dataset):
        annotations = step(annotations)
        left.append(int((annotations['gt_labels_3d'] >= 0).sum()))
    for count, objects in zip(counts, left):
        count.add(objects)
    return left[-1]


def _message(dataset, counts, indices):
    width = len(str(counts[0].objects))
    lines = [f'{dataset.ann_file}: no sample keeps an object to train on. Objects left in {len(indices)} samples:']
    lines += [f'  {count.objects:{width}d} in {count.samples:{width}d} samples {count.step}' for count in counts]
    with_objects = [index for index in indices if dataset.get_cat_ids(index)]
    if with_objects:
        lines.append(_example(dataset, with_objects[0]))
    return '\n'.join(lines)


def _example(dataset, index):
    """An object of the classes with its numbers, which show at a glance whether they are metres."""
    annotations = dataset.get_ann_info(index)
    boxes, labels = annotations['gt_bboxes_3d'], annotations['gt_labels_3d']
    row = int((labels >= 0).argmax())
    centre, size = (
        ', '.join(f'{value:.1f}' for value in values[row].tolist()) for values in (boxes.gravity_center, boxes.dims)
    )
    return (
        f'For example, sample {dataset.data_infos[index]["token"]} has a {dataset.CLASSES[labels[row]]} at ({centre}) '
        f'of size ({size}). Info files hold metres in the LiDAR frame, and so does the range.'
    )
