"""Detections in the LiDAR frame -> boxes of the nuScenes submission format in the global frame."""

import json
import warnings
from pathlib import Path

import mmcv
import numpy as np
import torch
from mmdet3d.core.bbox import LiDARInstance3DBoxes

from ...structures.atomic_file import replace_when_done
from ..infos.geometry import pose_matrix

RESULTS_FILE = 'results_nusc.json'
MAX_BOXES_PER_SAMPLE = 500  # more is an error to the devkit
MOVING_SPEED = 0.2  # m/s
_VEHICLES = ('car', 'truck', 'construction_vehicle', 'bus', 'trailer')
# The detectors predict no attribute. The most likely one given class and speed, as mmdet3d chooses it.
ATTRIBUTE_MOVING = {
    **dict.fromkeys(_VEHICLES, 'vehicle.moving'),
    **dict.fromkeys(('motorcycle', 'bicycle'), 'cycle.with_rider'),
    'pedestrian': 'pedestrian.moving',
}
ATTRIBUTE_STILL = {
    **dict.fromkeys(_VEHICLES, 'vehicle.parked'),
    **dict.fromkeys(('motorcycle', 'bicycle'), 'cycle.without_rider'),
    'bus': 'vehicle.stopped',
    'pedestrian': 'pedestrian.standing',
}


def attribute_name(class_name, speed):
    """Attribute of a box by its class and speed (m/s); '' for classes without attributes."""
    return (ATTRIBUTE_MOVING if speed > MOVING_SPEED else ATTRIBUTE_STILL).get(class_name, '')


def nuscenes_boxes(detection, info, class_names, class_range):
    """Convert the detections of one sample.

    Boxes beyond their class's evaluation range, which the devkit ignores, are dropped, and of the rest all but the
    500 best (more is an error to the devkit).

    Args:
        detection (dict): ``boxes_3d`` (LiDARInstance3DBoxes: l, w, h, yaw counter-clockwise, then vx, vy in m/s if
            the boxes have 9 numbers), ``scores_3d`` (N,), ``labels_3d`` (N,) indices into ``class_names``.
        info (dict): The sample's info: token and poses.
        class_names (Sequence[str]): Names of the labels.
        class_range (dict[str, float]): Evaluation range of each class around the ego vehicle, metres.

    Returns:
        list[dict]: JSON-ready boxes in the global frame.

    Raises:
        ValueError: A box or score is not finite, a size not positive, or a label not of ``class_names``.
    """
    centre, size, yaw, velocity, scores = _checked_numbers(detection, info)
    names = _names(detection['labels_3d'].detach().cpu().numpy().astype(np.int64), class_names, info)

    ego_to_global = pose_matrix(info['ego2global_translation'], info['ego2global_rotation'])
    lidar_to_global = ego_to_global @ pose_matrix(info['lidar2ego_translation'], info['lidar2ego_rotation'])
    rotation = lidar_to_global[:3, :3]
    centre = centre @ rotation.T + lidar_to_global[:3, 3]
    velocity = velocity @ rotation.T
    quaternion = _rotate_about_z(info['ego2global_rotation'], info['lidar2ego_rotation'], yaw)
    speed = np.linalg.norm(velocity[:, :2], axis=1)

    distance = np.linalg.norm(centre[:, :2] - ego_to_global[:2, 3], axis=1)
    limit = np.array([class_range[name] for name in names])
    best_first = np.argsort(-scores, kind='stable')
    return [
        dict(
            sample_token=info['token'],
            translation=centre[i].tolist(),
            size=size[i].tolist(),
            rotation=quaternion[i].tolist(),
            velocity=velocity[i, :2].tolist(),
            detection_name=str(names[i]),
            detection_score=float(scores[i]),
            attribute_name=attribute_name(names[i], speed[i]),
        )
        for i in [i for i in best_first if distance[i] < limit[i]][:MAX_BOXES_PER_SAMPLE]
    ]


def _checked_numbers(detection, info):
    """Gravity centres (N, 3), sizes (N, 3) as w, l, h, yaws (N,), velocities (N, 3) and scores (N,), all float64."""
    boxes = detection['boxes_3d']
    tensors = (boxes.gravity_center, boxes.dims[:, [1, 0, 2]], boxes.yaw, boxes.tensor[:, 7:9], detection['scores_3d'])
    centre, size, yaw, planar, scores = (tensor.detach().cpu().double().numpy() for tensor in tensors)
    velocity = np.zeros_like(centre)
    velocity[:, : planar.shape[1]] = planar  # boxes of seven numbers have none
    if not np.isfinite(np.concatenate([centre, size, velocity, yaw[:, None], scores[:, None]], axis=1)).all():
        raise ValueError(f'sample {info["token"]}: a predicted box or score is not finite')
    if (size <= 0).any():
        raise ValueError(f'sample {info["token"]}: a predicted box has a size of {size.min():g} m')
    return centre, size, yaw, velocity, scores


def _names(labels, class_names, info):
    """(N,) names of labels (N,)."""
    foreign = labels[(labels < 0) | (labels >= len(class_names))]
    if len(foreign):
        raise ValueError(
            f'sample {info["token"]}: a detection has label {foreign[0]}, but the data set has {len(class_names)} '
            f'class(es), {list(class_names)}: give the data set the classes of the detection head'
        )
    return np.array(class_names)[labels]


def _rotate_about_z(ego_to_global, lidar_to_ego, yaw):
    """Quaternions (N, 4) of boxes turned by ``yaw`` (N,) about the LiDAR's z axis, in the global frame."""
    w, x, y, z = _normalised_product(ego_to_global, lidar_to_ego)
    cos, sin = np.cos(yaw / 2), np.sin(yaw / 2)
    return np.stack([w * cos - z * sin, x * cos + y * sin, y * cos - x * sin, w * sin + z * cos], axis=1)


def _normalised_product(first, second):
    """Hamilton product of two quaternions (w, x, y, z), unit length."""
    w, x, y, z = first
    matrix = np.array([[w, -x, -y, -z], [x, w, -z, y], [y, z, w, -x], [z, -y, x, w]])
    product = matrix @ np.asarray(second)
    return product / np.linalg.norm(product)


def drop_impossible_boxes(detection):
    """Leave out boxes that no submission can hold, as a detector in its first epochs may give.

    Args:
        detection (dict): See :func:`nuscenes_boxes`.

    Returns:
        tuple[dict, int]: The detection without boxes that have a number that is not finite or a size that is not
        positive, and how many those were. Scores are not looked at.
    """
    numbers = detection['boxes_3d'].tensor
    keep = numbers.isfinite().all(dim=1) & (numbers[:, 3:6] > 0).all(dim=1)
    dropped = int((~keep).sum())
    if not dropped:
        return detection, 0
    keys = ('boxes_3d', 'scores_3d', 'labels_3d')
    return {key: detection[key][keep.to(getattr(detection[key], 'device', 'cpu'))] for key in keys}, dropped


def write_results_file(results, infos, class_names, class_range, modality, folder):
    """Write detections as a nuScenes submission.

    Args:
        results (list[dict]): Per sample a detection dict, or ``dict(pts_bbox=<detection dict>)``.
        infos (Sequence[dict]): Info of each sample, in the same order.
        class_names, class_range: See :func:`nuscenes_boxes`.
        modality (dict[str, bool]): ``use_camera``, ``use_lidar``, ``use_radar``, ``use_map``, ``use_external``.
        folder (str | Path): Folder to write ``results_nusc.json`` to.

    Boxes that are not finite or have no size are left out and counted in one warning.

    Returns:
        str: Path of the file.

    Raises:
        ValueError: A score is not finite: the detector itself is broken.
    """
    boxes, dropped, touched = {}, 0, 0
    print('Converting detections to the nuScenes format')
    for index, result in enumerate(mmcv.track_iter_progress(results)):
        info = infos[index]
        detection, impossible = drop_impossible_boxes(result.get('pts_bbox', result))
        boxes[info['token']] = nuscenes_boxes(detection, info, class_names, class_range)
        dropped, touched = dropped + impossible, touched + (impossible > 0)
    print()
    if dropped:
        warnings.warn(
            f'{dropped} predicted box(es) of {touched} sample(s) are left out: not finite, or a size that is not '
            f'positive. Usual in the first epochs, a sign of diverged training later.',
            stacklevel=2,
        )
    path = Path(folder) / RESULTS_FILE
    with replace_when_done(path) as temporary, open(temporary, 'w') as stream:
        json.dump(dict(meta=modality, results=boxes), stream)
    return str(path)


def ground_truth_results(dataset):
    """Annotations as detections with score 1, to prove box conventions: evaluating them must give a perfect score.

    Unknown velocities become zero, as in training.

    Args:
        dataset (NuScenesBEVDataset): Data set whose info file has annotations.

    Returns:
        list[dict]: What a perfect detector would return.
    """
    results = []
    for info in dataset.data_infos:
        # The devkit leaves out annotations without a point; predicting them would be a false positive.
        known = np.isin(info['gt_names'], dataset.CLASSES) & info['valid_flag']
        numbers = np.concatenate([info['gt_boxes'], np.nan_to_num(info['gt_velocity'])], axis=1)[known]
        boxes = LiDARInstance3DBoxes(torch.from_numpy(numbers).float(), box_dim=9, origin=(0.5, 0.5, 0.5))
        labels = [dataset.CLASSES.index(name) for name in info['gt_names'][known]]
        labels = torch.tensor(labels, dtype=torch.long)
        results.append(dict(pts_bbox=dict(boxes_3d=boxes, scores_3d=torch.ones(len(labels)), labels_3d=labels)))
    return results
