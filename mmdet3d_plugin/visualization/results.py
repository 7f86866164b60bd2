"""Boxes to draw, in the LiDAR frame: of a nuScenes results file, of a detector's answer, of the annotations."""

import json

import numpy as np

from dualdistill_runtime.poses import invert_pose, pose_matrix

from ..structures.boxes import Boxes


def load_results(path):
    """Read the ``results_nusc.json`` that ``tools/test.py`` writes.

    Returns:
        dict[str, list[dict]]: Sample token -> detections in the global frame.

    Raises:
        ValueError: The file is not a nuScenes results file.
    """
    try:
        with open(path) as stream:
            content = json.load(stream)
        results = content['results']
    except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(
            f'{path} is not a nuScenes results file ({error!r}); write one with tools/test.py CONFIG CHECKPOINT '
            f'--eval bbox --eval-options jsonfile_prefix=FOLDER and use FOLDER/results_nusc.json'
        ) from error
    return results


def lidar_to_global(info):
    """(4, 4) pose of an info's LiDAR frame."""
    ego_to_global = pose_matrix(info['ego2global_translation'], info['ego2global_rotation'])
    return ego_to_global @ pose_matrix(info['lidar2ego_translation'], info['lidar2ego_rotation'])


def boxes_in_lidar_frame(detections, info):
    """Move detections from the global frame to the LiDAR frame of their sample.

    Args:
        detections (list[dict]): Entries of a results file: translation, size (w, l, h), rotation (w, x, y, z),
            detection_name, detection_score.
        info (dict): Info of the sample.

    Returns:
        Boxes: With scores.
    """
    to_lidar = invert_pose(lidar_to_global(info))
    boxes = np.zeros((len(detections), 7))
    for row, detection in zip(boxes, detections):
        pose = to_lidar @ pose_matrix(detection['translation'], detection['rotation'])
        width, length, height = detection['size']
        row[:3] = pose[:3, 3]
        row[3:6] = length, width, height
        row[6] = np.arctan2(pose[1, 0], pose[0, 0])
    scores = np.array([detection['detection_score'] for detection in detections], dtype=np.float64)
    return Boxes(boxes, [detection['detection_name'] for detection in detections], scores)


def detected_boxes(found, class_names):
    """What a detector answered.

    Args:
        found (dict): Of one sample: ``boxes_3d`` (LiDARInstance3DBoxes, bottom centres), ``scores_3d``, ``labels_3d``.
        class_names (Sequence[str]): Names of the labels.

    Returns:
        Boxes: With scores, and with velocities where the boxes have nine numbers.
    """
    numbers = found['boxes_3d'].tensor.detach().cpu().double().numpy()
    boxes = numbers[:, :7].copy()
    boxes[:, 2] += boxes[:, 5] / 2
    names = [class_names[label] for label in found['labels_3d'].tolist()]
    scores = found['scores_3d'].detach().cpu().double().numpy()
    return Boxes(boxes, names, scores, numbers[:, 7:9] if numbers.shape[1] >= 9 else None)


def ground_truth_boxes(info, class_names):
    """Annotated boxes of known classes with at least one LiDAR or radar point, at any distance.

    Args:
        info (dict): Info of the sample.
        class_names (Sequence[str]): Classes to keep.

    Returns:
        Boxes: In the LiDAR frame, without scores, with velocities where the info has them.
    """
    velocities = np.asarray(info['gt_velocity'], dtype=np.float64).reshape(-1, 2) if 'gt_velocity' in info else None
    numbers = np.asarray(info['gt_boxes'], dtype=np.float64).reshape(-1, 7)
    boxes = Boxes(numbers, list(info['gt_names']), velocities=velocities)
    return boxes.select(np.isin(info['gt_names'], class_names) & np.asarray(info['valid_flag'], dtype=bool))
