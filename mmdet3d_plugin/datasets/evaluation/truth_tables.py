"""Annotated boxes as arrays, straight from the few tables that an evaluation needs.

Values are those that the devkit's own loader gives, to the last bit. Which annotation is which class the info files
say, as in ``ground_truth.py``, the same for the devkit's objects.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from nuscenes.eval.detection.constants import ATTRIBUTE_NAMES

from dualdistill_runtime.box_arrays import BoxArrays
from dualdistill_runtime.detection_classes import DETECTION_CLASSES

from ..infos.ground_velocities import ground_velocities
from .table_columns import read_columns

TRUTH_TABLES = ('sample', 'sample_annotation', 'instance', 'category', 'attribute')
BIKE_RACK = 'static_object.bicycle_rack'
_LABELS = {name: index for index, name in enumerate(DETECTION_CLASSES)}


@dataclass(frozen=True)
class GroundTruth:
    """What detections of some samples are held against.

    Attributes:
        tokens: (S,) of the samples.
        boxes: Annotations of detection classes, those without a point too.
        racks: Bike racks, whose bicycles and motorcycles do not count.
    """

    tokens: list[str]
    boxes: BoxArrays
    racks: BoxArrays

    def of(self, tokens: Sequence[str]) -> GroundTruth:
        """That of some of the samples, in this order.

        Raises:
            KeyError: One of them is not there.
        """
        if list(tokens) == self.tokens:
            return self
        place = {token: index for index, token in enumerate(self.tokens)}
        old = np.array([place[token] for token in tokens], dtype=np.int64)
        return GroundTruth(list(tokens), *(_of_samples(part, old, len(place)) for part in (self.boxes, self.racks)))


def _of_samples(boxes, old, count):
    """BoxArrays: Those of the samples ``old`` (S,) of ``count``, in this order and numbered anew."""
    begins = boxes.of_samples(count)
    rows = np.concatenate([np.arange(begins[i], begins[i + 1]) for i in old] or [np.zeros(0, dtype=np.int64)])
    sample = np.repeat(np.arange(len(old)), begins[old + 1] - begins[old])
    return BoxArrays(**{**boxes.take(rows).columns(), 'sample': sample})


def truth_from_tables(gt_names: Mapping[str, Sequence[str]], data_root: str, version: str) -> GroundTruth:
    """Read the annotations of samples.

    Args:
        gt_names: Sample token -> ``gt_names`` of its info, one name an annotation, in the order of the tables.
        data_root: nuScenes data root.
        version: Folder of the tables.

    Returns:
        An attribute that nuScenes does not have is none, with a warning.

    Raises:
        ValueError: A table is damaged; the tables do not fit each other, or are others than the infos'; an annotation
            of a class has more than one attribute.
    """
    folder = Path(data_root) / version
    tokens, names = list(gt_names), [list(of_sample) for of_sample in gt_names.values()]
    table = read_columns(
        folder / 'sample_annotation.json', ('token', 'sample_token', 'instance_token', 'prev', 'next'),
        ('translation', 'size', 'rotation', 'num_lidar_pts', 'num_radar_pts'), ('attribute_tokens',),
    )  # fmt: skip
    if not table['token']:
        raise ValueError(
            f'{data_root}: {version} has no annotations to evaluate against: use --format-only of tools/test.py, which '
            f'writes the submission file'
        )
    place = {token: index for index, token in enumerate(tokens)}
    sample = np.array([place.get(token, -1) for token in table['sample_token']])
    rows = np.flatnonzero(sample >= 0)
    rows = rows[np.argsort(sample[rows], kind='stable')]
    times = read_columns(folder / 'sample.json', ('token',), ('timestamp',))
    times = dict(zip(times['token'], times['timestamp'].tolist()))
    _check_counts(tokens, names, np.bincount(sample[rows], minlength=len(tokens)), times, folder)
    labels = np.array([_LABELS.get(name, -1) for of_sample in names for name in of_sample], dtype=np.int64)
    racks = rows[_bike_racks(table, rows, folder)]
    rows, labels = rows[labels >= 0], labels[labels >= 0]
    attributes = _attributes(table, rows, folder)
    boxes = _boxes(table, rows, sample, labels, attributes, _velocities(table, rows, times, folder))
    nothing = np.full(len(racks), -1)
    return GroundTruth(tokens, boxes, _boxes(table, racks, sample, nothing, nothing, np.full((len(racks), 2), np.nan)))


def _boxes(table, rows, sample, labels, attributes, velocity):
    points = (table['num_lidar_pts'] + table['num_radar_pts'])[rows].astype(np.int64)
    vectors = {name: table[name].reshape(len(sample), -1)[rows] for name in ('translation', 'size', 'rotation')}
    return BoxArrays(
        sample=sample[rows], label=labels, score=np.full(len(rows), -1.0), velocity=velocity, attribute=attributes,
        num_points=points, **vectors,
    )  # fmt: skip


def _check_counts(tokens, names, counts, times, folder):
    for token, of_sample, count in zip(tokens, names, counts):
        if token not in times or len(of_sample) != count:
            found = f'have {count} annotation(s) of it' if token in times else 'do not have it'
            raise ValueError(
                f'sample {token}: its info has {len(of_sample)} annotation(s), but the tables of {folder.name} in '
                f'{folder.parent} {found}: make the info files again with tools/create_data.py'
            )


def _look_up(values, key, folder):
    try:
        return values[key]
    except KeyError:
        raise ValueError(f'{folder}: the tables do not fit each other, nothing has the token {key!r}') from None


def _bike_racks(table, rows, folder):
    """(N,) bool: which rows are bike racks, by the official category."""
    categories = read_columns(folder / 'category.json', ('token', 'name'))
    racks = {token for token, name in zip(categories['token'], categories['name']) if name == BIKE_RACK}
    instances = read_columns(folder / 'instance.json', ('token', 'category_token'))
    is_rack = {token: kind in racks for token, kind in zip(instances['token'], instances['category_token'])}
    return np.array([_look_up(is_rack, table['instance_token'][row], folder) for row in rows], dtype=bool)


def _attributes(table, rows, folder):
    """(N,) index into the devkit's names of the attribute of each row, -1 for none."""
    known = read_columns(folder / 'attribute.json', ('token', 'name'))
    known, unknown = dict(zip(known['token'], known['name'])), Counter()
    found = np.full(len(rows), -1)
    for index, row in enumerate(rows):
        tokens = table['attribute_tokens'][row]
        if len(tokens) > 1:
            raise ValueError(
                f'annotation {table["token"][row]} has {len(tokens)} attributes, the evaluation takes one at most'
            )
        name = _look_up(known, tokens[0], folder) if tokens else ''
        if name in ATTRIBUTE_NAMES:
            found[index] = ATTRIBUTE_NAMES.index(name)
        elif name:
            unknown[name] += 1
    warn_of_attributes(unknown)
    return found


def warn_of_attributes(unknown: Counter) -> None:
    """Say which attributes (name -> boxes) are none of nuScenes'."""
    if unknown:
        found = ', '.join(f'{name} ({count} boxes)' for name, count in sorted(unknown.items()))
        warnings.warn(f'attributes that nuScenes does not have count as none in the evaluation: {found}', stacklevel=3)


def _velocities(table, rows, times, folder):
    """(N, 2) m/s in the ground plane from the annotations of the same object before and after, as the devkit has it."""
    row_of = {token: row for row, token in enumerate(table['token'])}

    def neighbours(direction):
        tokens = [table[direction][row] for row in rows]
        return np.array([_look_up(row_of, token, folder) if token else -1 for token in tokens], dtype=np.int64)

    seconds = np.array([_look_up(times, token, folder) for token in table['sample_token']]) * 1e-6
    return ground_velocities(table['translation'], seconds, rows, neighbours('prev'), neighbours('next'))
