"""The devkit's detection evaluation, on exactly the samples that were predicted."""

import math

from nuscenes import NuScenes
from nuscenes.eval.common.loaders import (
    add_center_dist,
    filter_eval_boxes,
    load_gt_of_sample_tokens,
    load_prediction_of_sample_tokens,
)
from nuscenes.eval.detection.data_classes import DetectionBox
from nuscenes.eval.detection.evaluate import DetectionEval

from ..detection_classes import DETECTION_CLASSES

ERROR_NAMES = {'trans_err': 'ATE', 'scale_err': 'ASE', 'orient_err': 'AOE', 'vel_err': 'AVE', 'attr_err': 'AAE'}
# errors that the devkit does not measure for a class
_NO_ERRORS = {'traffic_cone': ('AOE', 'AVE', 'AAE'), 'barrier': ('AVE', 'AAE')}
# every score of an evaluation, and whether more or less of it is better
SCORES = {
    **dict.fromkeys(('mAP', 'NDS'), 'greater'),
    **dict.fromkeys([f'm{name}' for name in ERROR_NAMES.values()], 'less'),
    **{f'{name}_AP': 'greater' for name in DETECTION_CLASSES},
    **{
        f'{name}_{error}': 'less'
        for name in DETECTION_CLASSES
        for error in ERROR_NAMES.values()
        if error not in _NO_ERRORS.get(name, ())
    },
}


class SampleDetectionEval(DetectionEval):
    """The devkit's evaluation over a given list of samples instead of a whole official split.

    On all samples of a split the scores are the official ones. On fewer (a partial download, every n-th sample), the
    devkit's own class stops, because it wants predictions for the whole split.

    Args:
        nusc (NuScenes): Tables with annotations.
        config (DetectionConfig): The devkit's evaluation config.
        result_path (str): Submission file.
        sample_tokens (list[str]): Samples to evaluate.
    """

    def __init__(self, nusc, config, result_path, sample_tokens):
        self.nusc = nusc
        self.cfg = config
        self.result_path = result_path
        self.verbose = False
        self.sample_tokens = sample_tokens
        self.pred_boxes, self.meta = load_prediction_of_sample_tokens(
            result_path, config.max_boxes_per_sample, DetectionBox, sample_tokens=sample_tokens
        )
        self.gt_boxes = load_gt_of_sample_tokens(nusc, sample_tokens, DetectionBox)
        for boxes in (self.pred_boxes, self.gt_boxes):
            add_center_dist(nusc, boxes)
            if boxes.all:  # the devkit's filter stops when there is no box at all, as from an untrained model
                filter_eval_boxes(nusc, boxes, config.class_range)


def evaluate_results_file(result_path, sample_tokens, version, data_root, config):
    """Score a submission file.

    Args:
        result_path (str): Submission file.
        sample_tokens (list[str]): Samples to evaluate.
        version (str): nuScenes version.
        data_root (str): Data root with the tables.
        config (DetectionConfig): The devkit's evaluation config.

    Returns:
        dict[str, float]: ``mAP``, ``NDS``, ``mATE`` (m), ``mASE`` (1 - IoU), ``mAOE`` (rad), ``mAVE`` (m/s),
        ``mAAE`` (1 - accuracy); per class ``<class>_AP``, ``<class>_ATE`` and so on, without the errors that the
        class does not have.

    Raises:
        ValueError: The tables have no annotations.
    """
    nusc = NuScenes(version=version, dataroot=data_root, verbose=False)
    if not nusc.sample_annotation:
        raise ValueError(
            f'{data_root}: {version} has no annotations to evaluate against: use --format-only of tools/test.py, which '
            f'writes the submission file'
        )
    metrics, _ = SampleDetectionEval(nusc, config, result_path, sample_tokens).evaluate()
    summary = metrics.serialize()
    scores = dict(mAP=summary['mean_ap'], NDS=summary['nd_score'])
    scores.update({f'm{ERROR_NAMES[key]}': value for key, value in summary['tp_errors'].items()})
    for name in config.class_names:
        scores[f'{name}_AP'] = summary['mean_dist_aps'][name]
        errors = {f'{name}_{ERROR_NAMES[key]}': value for key, value in summary['label_tp_errors'][name].items()}
        scores.update({key: value for key, value in errors.items() if not math.isnan(value)})
    return {key: float(value) for key, value in scores.items()}


def metrics_table(scores, class_names):
    """Scores of :func:`evaluate_results_file` as a text table: one row per class, the means last."""
    columns = ['AP', *ERROR_NAMES.values()]
    width = max(map(len, class_names)) + 2
    lines = ['class'.ljust(width) + ''.join(column.rjust(8) for column in columns)]
    for name in class_names:
        cells = [scores.get(f'{name}_{column}') for column in columns]
        lines.append(name.ljust(width) + ''.join('-'.rjust(8) if c is None else f'{c:8.3f}' for c in cells))
    lines.append('mean'.ljust(width) + ''.join(f'{scores[f"m{column}"]:8.4f}' for column in columns))
    lines.append(f'mAP {scores["mAP"]:.4f}   NDS {scores["NDS"]:.4f}')
    return '\n'.join(lines)
