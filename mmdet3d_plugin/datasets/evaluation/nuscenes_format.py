"""Boxes of one sample in the nuScenes submission format, and annotations as detections."""

import numpy as np
import torch
from mmdet3d.core.bbox import LiDARInstance3DBoxes

from dualdistill_runtime.global_boxes import Keyframes, converted
from dualdistill_runtime.submission_text import sample_records

from .global_boxes import stacked


def nuscenes_boxes(detection, info, class_names, class_range):
    """Convert the detections of one sample.

    Boxes beyond their class's evaluation range, which the devkit ignores, are dropped, and of the rest all but the
    500 best (more is an error to the devkit).

    Args:
        detection (dict): ``boxes_3d``, ``scores_3d``, ``labels_3d``, see :func:`global_boxes.global_boxes`.
        info (dict): The sample's info: token and poses.
        class_names (Sequence[str]): Names of the labels.
        class_range (dict[str, float]): Evaluation range of each class around the ego vehicle, metres.

    Returns:
        list[dict]: JSON-ready boxes in the global frame, best first.

    Raises:
        ValueError: A box or score is not finite, a size not positive, or a label not of ``class_names``.
    """
    columns = stacked([detection])
    size = columns['numbers'][:, 3:6]
    if not np.isfinite(columns['numbers']).all():
        raise ValueError(f'sample {info["token"]}: a predicted box or score is not finite')
    if (size <= 0).any():
        raise ValueError(f'sample {info["token"]}: a predicted box has a size of {size.min():g} m')
    return sample_records(converted(columns, Keyframes.of([info]), class_names, class_range), info['token'])


def ground_truth_results(dataset):
    """Annotations as detections, to prove box conventions: evaluating them must give a perfect score.

    Unknown velocities become zero, as in training. Scores fall from 1 to 0.5 and no two are the same: where all are
    equal, the devkit takes its errors from one match alone.

    Args:
        dataset (NuScenesBEVDataset): Data set whose info file has annotations.

    Returns:
        list[dict]: What a perfect detector would return.
    """
    detections = []
    for info in dataset.data_infos:
        # The devkit leaves out annotations without a point; predicting them would be a false positive.
        known = np.isin(info['gt_names'], dataset.CLASSES) & info['valid_flag']
        numbers = np.concatenate([info['gt_boxes'], np.nan_to_num(info['gt_velocity'])], axis=1)[known]
        boxes = LiDARInstance3DBoxes(torch.from_numpy(numbers).float(), box_dim=9, origin=(0.5, 0.5, 0.5))
        labels = [dataset.CLASSES.index(name) for name in info['gt_names'][known]]
        labels = torch.tensor(labels, dtype=torch.long)
        detections.append((boxes, labels))
    counts = [len(labels) for _, labels in detections]
    scores = torch.linspace(1, 0.5, sum(counts)).split(counts)
    return [
        dict(pts_bbox=dict(boxes_3d=boxes, scores_3d=scores_of_sample, labels_3d=labels))
        for (boxes, labels), scores_of_sample in zip(detections, scores)
    ]
