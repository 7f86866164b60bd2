"""What a detector returns for many samples, in each keyframe's LiDAR frame -> boxes in the global frame, at once."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np

from dualdistill_runtime.box_arrays import BoxArrays
from dualdistill_runtime.global_boxes import Keyframes, converted, possible

_SAMPLES_AT_ONCE = 512  # keeps what is needed on the way below 100 MB


def global_boxes(
    results: Sequence[Mapping], keyframes: Keyframes, class_names: Sequence[str], class_range: Mapping[str, float]
) -> BoxArrays:
    """Convert detections.

    Boxes beyond their class's evaluation range, which the devkit ignores, are left out, and of the rest all but the
    500 best of a sample (more is an error to the devkit). The boxes of a sample come best first.

    Boxes that no submission can hold, as a detector in its first epochs may give (a number that is not finite, a size
    that is not positive), are left out and counted in one warning.

    Args:
        results: One per sample: ``dict(pts_bbox=<detection>)`` or the detection, a dict of ``boxes_3d``
            (LiDARInstance3DBoxes: l, w, h, yaw counter-clockwise, then vx, vy in m/s if the boxes have 9 numbers),
            ``scores_3d`` (N,) and ``labels_3d`` (N,), indices into ``class_names``.
        keyframes: Of the same samples.
        class_names: Names of the labels.
        class_range: Evaluation range of each class around the ego vehicle, metres.

    Returns:
        The boxes, sample by sample.

    Raises:
        ValueError: A score is not finite, or a label is none of ``class_names``: the detector itself is broken.
    """
    parts, dropped, touched = [], 0, 0
    for begin in range(0, len(results), _SAMPLES_AT_ONCE):
        part = slice(begin, begin + _SAMPLES_AT_ONCE)
        columns = stacked(results[part])
        kept = possible(columns['numbers'])
        dropped += int((~kept).sum())
        touched += len(np.unique(columns['sample'][~kept]))
        columns = {name: values[kept] for name, values in columns.items()}
        boxes = converted(columns, keyframes[part], class_names, class_range)
        parts.append(BoxArrays(**{**boxes.columns(), 'sample': boxes.sample + begin}))
    if dropped:
        warnings.warn(
            f'{dropped} predicted box(es) of {touched} sample(s) are left out: not finite, or a size that is not '
            f'positive. Usual in the first epochs, a sign of diverged training later.',
            stacklevel=3,
        )
    return BoxArrays.concatenate(parts)


def stacked(results: Sequence[Mapping]) -> dict[str, np.ndarray]:
    """Detections of all samples below each other: ``numbers`` (N, 9), ``scores``, ``labels`` and ``sample`` (N,).

    The numbers are those of mmdet3d's LiDAR boxes, float64, bottom centre first; a velocity that is not there is 0.
    """
    detections = [result.get('pts_bbox', result) for result in results]
    counts = [len(detection['scores_3d']) for detection in detections]
    ends = np.cumsum(counts)
    numbers, scores = np.zeros((sum(counts), 9)), np.zeros(sum(counts))
    labels = np.zeros(sum(counts), dtype=np.int64)
    for detection, count, end in zip(detections, counts, ends):
        boxes = detection['boxes_3d'].tensor[:, :9].detach().cpu().double().numpy()
        numbers[end - count : end, : boxes.shape[1]] = boxes
        scores[end - count : end] = detection['scores_3d'].detach().cpu().double().numpy()
        labels[end - count : end] = detection['labels_3d'].detach().cpu().numpy()
    return dict(numbers=numbers, scores=scores, labels=labels, sample=np.repeat(np.arange(len(counts)), counts))
