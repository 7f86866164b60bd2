"""From detections to the nuScenes result format and the official scores."""

from .dataset_evaluation import EvaluatedDataset
from .devkit_files import check_devkit_files
from .nuscenes_eval import evaluate_results_file
from .nuscenes_format import ground_truth_results, nuscenes_boxes
from .scores import metrics_table, score_rules

__all__ = [
    'EvaluatedDataset',
    'check_devkit_files',
    'evaluate_results_file',
    'ground_truth_results',
    'metrics_table',
    'nuscenes_boxes',
    'score_rules',
]
