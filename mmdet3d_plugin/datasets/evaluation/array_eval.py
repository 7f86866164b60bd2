"""The nuScenes detection evaluation on arrays: what the devkit computes, without an object for every box.

Formulas: nuScenes (arXiv 1903.11027), section 3.1, and the published evaluation protocol. The devkit keeps the summary.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence

import numpy as np
from nuscenes.eval.detection.constants import TP_METRICS
from nuscenes.eval.detection.data_classes import DetectionConfig, DetectionMetrics

from dualdistill_runtime.box_arrays import BoxArrays, yaws
from dualdistill_runtime.detection_classes import DETECTION_CLASSES
from dualdistill_runtime.global_boxes import ground_distance

from .eval_filters import counting
from .scores import NOT_MEASURED
from .truth_tables import GroundTruth

_RECALLS = np.linspace(0, 1, 101)


def evaluate_boxes(
    found: BoxArrays, truth: GroundTruth, ego: np.ndarray, config: DetectionConfig, class_names: Sequence[str]
) -> DetectionMetrics:
    """Score detections.

    Args:
        found: Detections.
        truth: Annotations of the same samples.
        ego: (S, 2 or more) place of the ego vehicle at each sample, global, metres.
        config: The devkit's evaluation config; left as it is.
        class_names: Classes to score; means are over these.

    Raises:
        ValueError: A matched box has a size that is not positive.
    """
    start = time.time()
    config = copy.copy(config)
    config.class_names = [name for name in config.class_names if name in class_names]
    found = counting(found, ego, config.class_range, truth.racks)
    annotated = counting(truth.boxes, ego, config.class_range, truth.racks)
    found, annotated, matches = _matched(found, annotated, config.dist_ths)
    metrics = DetectionMetrics(config)
    for name in config.class_names:
        label = DETECTION_CLASSES.index(name)
        rows, positives = np.flatnonzero(found.label == label), int((annotated.label == label).sum())
        for threshold, row_matches in zip(config.dist_ths, matches):
            curve = _Curve.of(row_matches[rows] >= 0, found.score[rows], positives)
            metrics.add_label_ap(name, threshold, curve.average_precision(config.min_recall, config.min_precision))
            if threshold == config.dist_th_tp:
                errors = _errors(found.take(rows), annotated, row_matches[rows], name) if curve.matches else {}
                for error in TP_METRICS:
                    metrics.add_label_tp(name, error, curve.error(errors.get(error), error, name, config.min_recall))
    metrics.add_runtime(time.time() - start)
    return metrics


def _matched(found, annotated, thresholds):
    """Detections in the order in which they choose, annotations, and the match (T, N) of each at each threshold.

    Like the devkit's, this order is of falling scores and, among equal ones, from the last box to the first.
    """
    from .matching import match  # imports numba

    found = found.take(np.argsort(found.score, kind='stable')[::-1])
    samples = 1 + max(found.sample.max(initial=0), annotated.sample.max(initial=0))
    annotated = annotated.take(np.argsort(annotated.label * samples + annotated.sample, kind='stable'))
    group, groups = found.label * samples + found.sample, annotated.label * samples + annotated.sample
    begin, end = (np.searchsorted(groups, group, side=side) for side in ('left', 'right'))
    places = [np.ascontiguousarray(boxes.translation[:, :2]) for boxes in (found, annotated)]
    return found, annotated, match(places[0], begin, end, places[1], np.array(thresholds, dtype=np.float64))


class _Curve:
    """Precision and score over 101 recalls, of the detections of one class at one threshold, best first.

    Args:
        scores: (N,) of all detections.
        hits: (N,) bool, which of them have a match.
        positives: Number of annotations.
    """

    def __init__(self, hits, scores, positives):
        self.matches = int(hits.sum())
        self._scores = scores[hits]
        true = np.cumsum(hits).astype(float)
        recall = true / float(positives)
        self._precision = np.interp(_RECALLS, recall, true / np.arange(1, len(hits) + 1), right=0)
        self._confidence = np.interp(_RECALLS, recall, scores, right=0)

    @classmethod
    def of(cls, hits, scores, positives):
        """The curve; one of zeros without annotations or matches."""
        if positives and hits.any():
            return cls(hits, scores, positives)
        return cls(np.zeros(1, dtype=bool), np.zeros(1), 1)

    def average_precision(self, min_recall, min_precision):
        """float: Mean of the precision above both minima, of 1."""
        precision = self._precision[round(100 * min_recall) + 1 :] - min_precision
        return float(np.mean(np.maximum(precision, 0))) / (1.0 - min_precision)

    def error(self, errors, kind, name, min_recall):
        """float: Mean over recalls above the minimum of the running mean of errors (K,) of the matches.

        NaN where it is not measured for a class; 1 where the recall does not reach the minimum.
        """
        if kind in NOT_MEASURED.get(name, ()):
            return np.nan
        first, reached = round(100 * min_recall) + 1, np.flatnonzero(self._confidence)
        last = reached[-1] if len(reached) else 0
        if last < first:
            return 1.0
        curve = np.interp(self._confidence[::-1], self._scores[::-1], _running_mean(errors)[::-1])[::-1]
        return float(np.mean(curve[first : last + 1]))


def _running_mean(errors):
    """(K,) mean of the known errors so far, 0 before the first; ones when none is known."""
    known = ~np.isnan(errors)
    if not known.any():
        return np.ones(len(errors))
    count = np.cumsum(known)
    return np.divide(np.nancumsum(errors), count, out=np.zeros(len(errors)), where=count != 0)


def _errors(found, annotated, matches, name):
    """dict: kind -> (K,) errors of the detections with a match, in their order."""
    found, truth = found.take(matches >= 0), annotated.take(matches[matches >= 0])
    if (found.size <= 0).any() or (truth.size <= 0).any():
        raise ValueError(f'a {name} that is matched has a size that is not positive: the evaluation takes none')
    common = np.minimum(found.size, truth.size).prod(axis=1)
    union = found.size.prod(axis=1) + truth.size.prod(axis=1) - common
    period = np.pi if name == 'barrier' else 2 * np.pi  # which end of a barrier is its front nobody can tell
    turn = (yaws(truth.rotation) - yaws(found.rotation) + period / 2) % period - period / 2
    wrong = (found.attribute != truth.attribute).astype(float)
    return dict(
        trans_err=ground_distance(found.translation, truth.translation),
        vel_err=ground_distance(found.velocity, truth.velocity),
        scale_err=1 - common / union,
        orient_err=np.abs(turn),
        attr_err=np.where(truth.attribute < 0, np.nan, wrong),
    )
