"""The nuScenes submission file: written sample by sample, and read box by box, never as objects all at once."""

from __future__ import annotations

import json
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from dualdistill_runtime.box_arrays import BoxArrays
from dualdistill_runtime.detection_classes import DETECTION_CLASSES
from dualdistill_runtime.global_boxes import ATTRIBUTE_NAMES
from dualdistill_runtime.submission_text import RESULTS_FILE, submission_text

from ...structures.atomic_file import replace_when_done

_VECTORS = dict(translation=3, size=3, rotation=4, velocity=2)
_WIDTH = sum(_VECTORS.values()) + 1  # and the score
_LABELS = {name: index for index, name in enumerate(DETECTION_CLASSES)}
_ATTRIBUTE_LABELS = {name: index for index, name in enumerate(ATTRIBUTE_NAMES)} | {'': -1}


def write_submission(boxes: BoxArrays, tokens: Sequence[str], meta: Mapping, folder: str | Path) -> str:
    """Write ``results_nusc.json``, the same bytes that ``json.dump`` would write.

    Args:
        boxes: Finite boxes of all samples.
        tokens: (S,) of the samples; one without a box gets an empty list.
        meta: What else the file says: ``use_camera``, ``use_lidar``, ``use_radar``, ``use_map``, ``use_external``.
        folder: Where to write.

    Returns:
        Path of the file.
    """
    path = Path(folder) / RESULTS_FILE
    with replace_when_done(path) as temporary, open(temporary, 'w') as stream:
        stream.writelines(submission_text(boxes, tokens, meta))
    return str(path)


def read_submission(path: str | Path, tokens: Sequence[str], max_boxes: int) -> BoxArrays:
    """Read the boxes of some samples.

    Args:
        path: Submission file.
        tokens: (S,) samples to take; others in the file are left aside.
        max_boxes: Most boxes that a sample may have.

    Returns:
        Boxes in the order of the tokens and, within a sample, of the file.

    Raises:
        ValueError: The file is no submission, lacks a sample, or has more boxes of one than allowed; or a box is
            incomplete, has a number that is NaN (but for the velocity), or an unknown class or attribute.
    """
    columns = _Columns()
    try:
        with open(path, encoding='utf-8') as stream:
            content = json.load(stream, object_hook=columns.keep)
        results = dict(content['results'])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f'{path}: no nuScenes submission ({type(error).__name__}: {error})') from error
    _check_samples(path, results, tokens, max_boxes)
    rows = np.array([row for token in tokens for row in results[token]], dtype=np.int64)
    sample = np.repeat(np.arange(len(tokens)), [len(results[token]) for token in tokens])
    boxes = columns.boxes(rows, sample)
    numbers = np.concatenate([boxes.translation, boxes.size, boxes.rotation, boxes.score[:, None]], axis=1)
    wrong = np.flatnonzero(np.isnan(numbers).any(axis=1))
    if len(wrong):
        raise ValueError(f'{path}: sample {tokens[sample[wrong[0]]]}: a box has a number that is NaN')
    return boxes


def _check_samples(path, results, tokens, max_boxes):
    missing = [token for token in tokens if token not in results]
    if missing:
        raise ValueError(f'{path}: {len(missing)} of {len(tokens)} samples are missing, first {missing[0]}')
    for token in tokens:
        if len(results[token]) > max_boxes:
            raise ValueError(
                f'{path}: sample {token} has {len(results[token])} boxes, the evaluation takes {max_boxes} at most'
            )


class _Columns:
    """Boxes of a file, taken from the reader as it comes by them."""

    def __init__(self):
        self._numbers, self._labels, self._attributes, self._points = array('d'), array('q'), array('q'), array('q')

    def keep(self, record):
        """Row of a box; anything else as it is."""
        if 'detection_name' not in record:
            return record
        row = [number for name in _VECTORS for number in record[name]]
        row.append(record.get('detection_score', -1.0))
        if len(row) != _WIDTH:
            raise ValueError(f'a box needs {_VECTORS} numbers')
        self._numbers.extend(row)
        self._labels.append(_LABELS[record['detection_name']])
        self._attributes.append(_ATTRIBUTE_LABELS[record['attribute_name']])
        self._points.append(record.get('num_pts', -1))
        return len(self._labels) - 1

    def boxes(self, rows, sample):
        """BoxArrays: These rows."""
        numbers = np.asarray(self._numbers).reshape(-1, _WIDTH)[rows]
        *vectors, score = np.split(numbers, np.cumsum(list(_VECTORS.values())), axis=1)
        labels, attributes, points = (
            np.asarray(column)[rows] for column in (self._labels, self._attributes, self._points)
        )
        return BoxArrays(
            sample=sample, label=labels, score=score[:, 0], attribute=attributes, num_points=points,
            **dict(zip(_VECTORS, vectors)),
        )  # fmt: skip
