"""From detections to the nuScenes result format and the official scores."""

from .devkit_files import check_devkit_files
from .nuscenes_eval import evaluate_results_file, metrics_table, score_rules
from .nuscenes_format import ground_truth_results, nuscenes_boxes, write_results_file

__all__ = [
    'check_devkit_files',
    'evaluate_results_file',
    'ground_truth_results',
    'metrics_table',
    'nuscenes_boxes',
    'score_rules',
    'write_results_file',
]
