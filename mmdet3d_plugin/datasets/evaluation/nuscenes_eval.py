"""The devkit's detection evaluation, on exactly the samples that were predicted and the classes of the detector."""

import copy
import warnings

from nuscenes.eval.common.loaders import add_center_dist, filter_eval_boxes, load_prediction_of_sample_tokens
from nuscenes.eval.detection.data_classes import DetectionBox
from nuscenes.eval.detection.evaluate import DetectionEval

from ..infos.tables import load_tables
from .ground_truth import load_ground_truth
from .scores import scores_of


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
    """Score a submission file with the devkit.

    Args:
        result_path (str): Submission file.
        gt_names (dict[str, Sequence[str]]): Samples to evaluate, see :func:`ground_truth.load_ground_truth`.
        version (str): nuScenes version.
        data_root (str): Data root with the tables.
        config (DetectionConfig): The devkit's evaluation config.
        class_names (Sequence[str], optional): Classes of the detector; the means are over these. Default: all ten, for
            the official scores.

    Returns:
        dict[str, float]: See :func:`scores.scores_of`.

    Raises:
        ValueError: The tables have no annotations, or others than the infos.
    """
    summary = devkit_summary(result_path, gt_names, version, data_root, config, class_names)
    return scores_of(summary, config.mean_ap_weight)


def devkit_summary(result_path, gt_names, version, data_root, config, class_names=None):
    """dict: the devkit's summary; the rest as of :func:`evaluate_results_file`."""
    nusc = load_tables(data_root, version)
    if not nusc.sample_annotation:
        raise ValueError(
            f'{data_root}: {version} has no annotations to evaluate against: use --format-only of tools/test.py, which '
            f'writes the submission file'
        )
    evaluation = SampleDetectionEval(nusc, config, result_path, gt_names, class_names or config.class_names)
    return summary_of(evaluation.evaluate()[0])


def summary_of(metrics):
    """dict: what the devkit makes of its metrics, without its warning of an error that none of the classes has."""
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', 'Mean of empty slice')
        return metrics.serialize()
