"""From detections to the nuScenes result format and the official scores."""

from .nuscenes_eval import evaluate_results_file, metrics_table
from .nuscenes_format import ground_truth_results, nuscenes_boxes, write_results_file

__all__ = ['evaluate_results_file', 'ground_truth_results', 'metrics_table', 'nuscenes_boxes', 'write_results_file']
