"""The devkit's detection evaluation, on exactly the samples that were predicted and the classes of the detector."""

import copy
import math
import warnings

from nuscenes.eval.common.loaders import add_center_dist, filter_eval_boxes, load_prediction_of_sample_tokens
from nuscenes.eval.detection.data_classes import DetectionBox
from nuscenes.eval.detection.evaluate import DetectionEval

from ..detection_classes import DETECTION_CLASSES
from ..infos.tables import load_tables
from .ground_truth import load_ground_truth

ERROR_NAMES = {'trans_err': 'ATE', 'scale_err': 'ASE', 'orient_err': 'AOE', 'vel_err': 'AVE', 'attr_err': 'AAE'}
# errors that the devkit does not measure for a class
_NO_ERRORS = {'traffic_cone': ('AOE', 'AVE', 'AAE'), 'barrier': ('AVE', 'AAE')}


class SampleDetectionEval(DetectionEval):
    """The devkit's evaluation over given samples and classes instead of a whole official split and all ten classes.

    On all samples of a split and all classes the scores are the official ones. On fewer samples (a partial download,
    every n-th sample), the devkit's own class stops, because it wants predictions for the whole split; fewer classes
    it does not know.

    Args:
        nusc (NuScenes): Tables with annotations.
        config (DetectionConfig): The devkit's evaluation config; left as it is.
        result_path (str): Submission file.
        gt_names (dict[str, Sequence[str]]): Samples to evaluate, see :func:`ground_truth.load_ground_truth`.
        class_names (Sequence[str]): Classes to evaluate.
    """

    def __init__(self, nusc, config, result_path, gt_names, class_names):
        self.nusc = nusc
        self.cfg = copy.copy(config)
        # in the config's order, on which the last digit of a mean depends
        self.cfg.class_names = [name for name in config.class_names if name in class_names]
        self.result_path = result_path
        self.verbose = False
        self.sample_tokens = list(gt_names)
        self.pred_boxes, self.meta = load_prediction_of_sample_tokens(
            result_path, config.max_boxes_per_sample, DetectionBox, sample_tokens=self.sample_tokens
        )
        self.gt_boxes = load_ground_truth(nusc, gt_names)
        for boxes in (self.pred_boxes, self.gt_boxes):
            add_center_dist(nusc, boxes)
            if boxes.all:  # the devkit's filter stops when there is no box at all, as from an untrained model
                filter_eval_boxes(nusc, boxes, config.class_range)


def evaluate_results_file(result_path, gt_names, version, data_root, config, class_names=None):
    """Score a submission file.

    Args:
        result_path (str): Submission file.
        gt_names (dict[str, Sequence[str]]): Samples to evaluate, see :func:`ground_truth.load_ground_truth`.
        version (str): nuScenes version.
        data_root (str): Data root with the tables.
        config (DetectionConfig): The devkit's evaluation config.
        class_names (Sequence[str], optional): Classes of the detector; the means are over these. Default: all ten, for
            the official scores.

    Returns:
        dict[str, float]: ``mAP``, ``NDS``, ``mATE`` (m), ``mASE`` (1 - IoU), ``mAOE`` (rad), ``mAVE`` (m/s),
        ``mAAE`` (1 - accuracy); per class ``<class>_AP``, ``<class>_ATE`` and so on. Errors that a class does not have
        are left out, and so is the mean of an error that none of the classes has.

    Raises:
        ValueError: The tables have no annotations, or others than the infos.
    """
    nusc = load_tables(data_root, version)
    if not nusc.sample_annotation:
        raise ValueError(
            f'{data_root}: {version} has no annotations to evaluate against: use --format-only of tools/test.py, which '
            f'writes the submission file'
        )
    evaluation = SampleDetectionEval(nusc, config, result_path, gt_names, class_names or config.class_names)
    metrics, _ = evaluation.evaluate()
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', 'Mean of empty slice')  # of an error that none of the classes has
        summary = metrics.serialize()
    scores = dict(mAP=summary['mean_ap'], NDS=_nds(summary, config.mean_ap_weight))
    scores.update(_defined({f'm{ERROR_NAMES[key]}': value for key, value in summary['tp_errors'].items()}))
    for name in evaluation.cfg.class_names:
        scores[f'{name}_AP'] = summary['mean_dist_aps'][name]
        errors = summary['label_tp_errors'][name]
        scores.update(_defined({f'{name}_{ERROR_NAMES[key]}': value for key, value in errors.items()}))
    return {key: float(value) for key, value in scores.items()}


def _nds(summary, weight):
    """NDS of the devkit, without the errors that none of the classes has (barriers have no velocity)."""
    shares = [summary['tp_scores'][key] for key in _defined(summary['tp_errors'])]
    if len(shares) == len(summary['tp_errors']):
        return summary['nd_score']
    return (weight * summary['mean_ap'] + sum(shares)) / (weight + len(shares))


def _defined(numbers):
    return {key: value for key, value in numbers.items() if not math.isnan(value)}


def score_rules(class_names):
    """Every score that :func:`evaluate_results_file` returns for these classes, and which way is better.

    Args:
        class_names (Sequence[str]): Classes of the detector.

    Returns:
        dict[str, str]: Name -> ``greater`` or ``less``; means first.
    """
    errors = {
        name: [error for error in ERROR_NAMES.values() if error not in _NO_ERRORS.get(name, ())] for name in class_names
    }
    means = [f'm{error}' for error in ERROR_NAMES.values() if any(error in of_class for of_class in errors.values())]
    rules = {**dict.fromkeys(('mAP', 'NDS'), 'greater'), **dict.fromkeys(means, 'less')}
    for name in class_names:
        rules[f'{name}_AP'] = 'greater'
        rules.update({f'{name}_{error}': 'less' for error in errors[name]})
    return rules


def metrics_table(scores, class_names):
    """Scores of :func:`evaluate_results_file` as a text table: one row per class, the means over them last."""
    columns = ['AP', *ERROR_NAMES.values()]
    width = max(*map(len, class_names), len('class')) + 2

    def row(title, keys, form):
        cells = [format(scores[key], form) if key in scores else '-' for key in keys]
        return title.ljust(width) + ''.join(cell.rjust(8) for cell in cells)

    lines = ['class'.ljust(width) + ''.join(column.rjust(8) for column in columns)]
    lines += [row(name, [f'{name}_{column}' for column in columns], '.3f') for name in class_names]
    lines.append(row('mean', [f'm{column}' for column in columns], '.4f'))
    lines.append(f'mAP {scores["mAP"]:.4f}   NDS {scores["NDS"]:.4f}')
    if len(class_names) < len(DETECTION_CLASSES):
        lines.append(
            f'means are over {len(class_names)} of the {len(DETECTION_CLASSES)} nuScenes classes: not comparable with '
            f'official scores'
        )
    return '\n'.join(lines)
