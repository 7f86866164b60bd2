"""Keyframes with annotations and no sensor files, and random detections: to measure and test evaluations with.

The tables are as many as the devkit wants and as short: one LiDAR, its keyframes only. Categories, attributes, points,
bike racks and unknown velocities are drawn, so that every rule of the evaluation has something to do.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from mmdet3d.core.bbox import LiDARInstance3DBoxes
from nuscenes.eval.detection.utils import category_to_detection_name, detection_name_to_rel_attributes

from dualdistill_runtime.detection_classes import DETECTION_CLASSES

from ..datasets.infos.info_io import save_infos

VERSION = 'v1.0-trainval'
KEYFRAMES_OF_A_SCENE = 40
RACK = 'static_object.bicycle_rack'
# category -> share of the objects, and width, length, height in metres
CATEGORIES = {
    'vehicle.car': (0.34, (1.9, 4.6, 1.7)),
    'human.pedestrian.adult': (0.16, (0.7, 0.7, 1.8)),
    'movable_object.barrier': (0.10, (2.5, 0.5, 1.0)),
    'movable_object.trafficcone': (0.08, (0.4, 0.4, 1.1)),
    'vehicle.truck': (0.07, (2.5, 6.9, 2.8)),
    'vehicle.bicycle': (0.05, (0.6, 1.7, 1.3)),
    'vehicle.motorcycle': (0.05, (0.8, 2.1, 1.5)),
    'vehicle.bus.rigid': (0.04, (2.9, 11.0, 3.5)),
    'vehicle.trailer': (0.04, (2.9, 12.0, 3.9)),
    'vehicle.construction': (0.03, (2.8, 6.4, 3.2)),
    RACK: (0.02, (8.0, 12.0, 3.0)),
    'static_object.pole': (0.02, (0.3, 0.3, 3.0)),
}
_MOUNT = [0.94, 0.0, 1.84], [np.sqrt(0.5), 0.0, 0.0, -np.sqrt(0.5)]  # the LiDAR's y axis points forward
_EMPTY = ('visibility', 'sensor', 'calibrated_sensor', 'ego_pose', 'log', 'scene', 'sample', 'sample_data', 'instance',
          'sample_annotation', 'map', 'attribute', 'category')  # fmt: skip


def write_keyframes(root: str | Path, keyframes: int, objects: int = 30, seed: int = 0) -> str:
    """Write tables and an info file of validation samples.

    Args:
        root: Data root to write.
        keyframes: How many, in scenes of at most 40, half a second apart.
        objects: Annotations of each keyframe.
        seed: Of everything drawn.

    Returns:
        Path of the info file, of which boxes and poses are exact.
    """
    root, rng = Path(root), np.random.default_rng(seed)
    tables = {name: [] for name in _EMPTY}
    _add_static(tables)
    infos = []
    for first in range(0, keyframes, KEYFRAMES_OF_A_SCENE):
        infos += _add_scene(tables, first, min(KEYFRAMES_OF_A_SCENE, keyframes - first), objects, rng)
    (root / VERSION).mkdir(parents=True)
    (root / 'maps').mkdir()
    (root / 'maps' / 'map.png').touch()
    for name, rows in tables.items():
        (root / VERSION / f'{name}.json').write_text(json.dumps(rows))
    path = root / 'nuscenes_infos_val.pkl'
    save_infos(path, infos, VERSION, 'val')
    return str(path)


def random_results(infos, boxes: int, seed: int = 0, decimals: int | None = None) -> list[dict]:
    """Detections: annotations moved, resized and turned, as many as fit, and boxes anywhere.

    Args:
        infos (Sequence[dict]): Samples.
        boxes: Detections of each.
        seed: Of everything drawn.
        decimals: Scores are rounded to so many, for ties.
    """
    rng, results = np.random.default_rng(seed), []
    for info in infos:
        known = np.flatnonzero(np.isin(info['gt_names'], DETECTION_CLASSES))[:boxes]
        labels = rng.integers(len(DETECTION_CLASSES), size=boxes)
        labels[: len(known)] = [DETECTION_CLASSES.index(name) for name in info['gt_names'][known]]
        numbers = rng.normal(size=(boxes, 9)) * [25, 25, 1, 0.3, 0.3, 0.3, 2, 2, 2] + [0, 0, 0, 4, 2, 1.6, 0, 0, 0]
        truth = np.concatenate([info['gt_boxes'], np.nan_to_num(info['gt_velocity'])], axis=1)[known]
        noise = rng.normal(size=truth.shape) * [0.7, 0.7, 0.2, 0.2, 0.1, 0.1, 0.3, 0.5, 0.5]
        numbers[: len(known)] = truth + noise
        numbers[:, 3:6] = np.abs(numbers[:, 3:6]) + 0.05
        scores = rng.random(boxes) ** 3  # low ones for what is nothing
        scores[: len(known)] = 1 - 0.7 * rng.random(len(known))
        scores = scores if decimals is None else scores.round(decimals)
        results.append(
            dict(
                boxes_3d=LiDARInstance3DBoxes(torch.from_numpy(numbers).float(), box_dim=9, origin=(0.5, 0.5, 0.5)),
                scores_3d=torch.from_numpy(scores).float(),
                labels_3d=torch.from_numpy(labels),
            )
        )
    return results


def _add_static(tables):
    tables['visibility'].append(dict(token='4', level='v80-100', description=''))
    tables['log'].append(dict(token='log', logfile='', vehicle='', date_captured='', location='singapore-onenorth'))
    tables['map'].append(dict(token='map', log_tokens=['log'], category='semantic_prior', filename='maps/map.png'))
    tables['sensor'].append(dict(token='lidar', channel='LIDAR_TOP', modality='lidar'))
    mount = dict(translation=_MOUNT[0], rotation=_MOUNT[1], camera_intrinsic=[])
    tables['calibrated_sensor'].append(dict(token='mount', sensor_token='lidar', **mount))
    for category in CATEGORIES:
        tables['category'].append(dict(token=f'category-{category}', name=category, description=''))
    names = {name for category in CATEGORIES for name in _attributes(category)}
    tables['attribute'] += [dict(token=f'attribute-{name}', name=name, description='') for name in sorted(names)]


def _attributes(category):
    name = category_to_detection_name(category)
    return detection_name_to_rel_attributes(name) if name else []


def _add_scene(tables, first, count, objects, rng):
    """list[dict]: Infos of one scene, whose rows are added to the tables."""
    scene = f'scene-{first:06d}'
    tokens = [f'{first + k:032x}' for k in range(count)]
    times = [1_600_000_000_000_000 + (first * 10 + k) * 500_000 for k in range(count)]
    heading = rng.uniform(-np.pi, np.pi)
    ego = np.array([1000.0, 1500.0, 0.0]) + np.outer(np.arange(count) * 3.0, [np.cos(heading), np.sin(heading), 0])
    rotation = [float(np.cos(heading / 2)), 0.0, 0.0, float(np.sin(heading / 2))]
    tables['scene'].append(
        dict(token=scene, name=scene, description='', log_token='log', nbr_samples=count, first_sample_token=tokens[0],
             last_sample_token=tokens[-1])
    )  # fmt: skip
    for k, token in enumerate(tokens):
        links = dict(prev=tokens[k - 1] if k else '', next=tokens[k + 1] if k + 1 < count else '')
        tables['sample'].append(dict(token=token, timestamp=times[k], scene_token=scene, **links))
        pose = dict(translation=ego[k].tolist(), rotation=rotation, timestamp=times[k])
        tables['ego_pose'].append(dict(token=f'pose-{token}', **pose))
        tables['sample_data'].append(
            dict(token=f'data-{token}', sample_token=token, ego_pose_token=f'pose-{token}', timestamp=times[k],
                 calibrated_sensor_token='mount', fileformat='pcd', is_key_frame=True, height=0, width=0, prev='',
                 next='', filename=f'samples/LIDAR_TOP/{token}.pcd.bin')
        )  # fmt: skip
    drawn = [_draw_object(tables, f'{scene}-{number}', tokens, ego, rng) for number in range(objects)]
    return [
        _info(token, scene, times[k], ego[k], rotation, heading, [one[k] for one in drawn if k in one])
        for k, token in enumerate(tokens)
    ]


def _draw_object(tables, instance, tokens, ego, rng):
    """dict: keyframe -> what an info says of an object that comes, perhaps goes, and moves at a constant velocity."""
    category = rng.choice(list(CATEGORIES), p=[share for share, _ in CATEGORIES.values()])
    size = np.array(CATEGORIES[category][1]) * rng.uniform(0.85, 1.15)
    attribute = str(rng.choice([*_attributes(category), '']))
    velocity = rng.normal(size=2) * 3 * (attribute.endswith('moving') or attribute.endswith('rider'))
    yaw, start = rng.uniform(-np.pi, np.pi), rng.integers(len(tokens)) if rng.random() < 0.3 else 0
    seen = range(start, rng.integers(start, len(tokens)) + 1 if rng.random() < 0.3 else len(tokens))
    places = ego[len(tokens) // 2] + np.append(rng.uniform(-45, 45, size=2), rng.uniform(0.5, 1.5))
    places = places + np.outer(np.array(seen) * 0.5, np.append(velocity, 0))
    names = [f'{instance}-{k}' for k in seen]
    ends = dict(nbr_annotations=len(names), first_annotation_token=names[0], last_annotation_token=names[-1])
    tables['instance'].append(dict(token=instance, category_token=f'category-{category}', **ends))
    points = np.where(rng.random(len(names)) < 0.1, 0, rng.integers(1, 40, size=len(names))).tolist()
    turn = [float(np.cos(yaw / 2)), 0.0, 0.0, float(np.sin(yaw / 2))]
    for index, k in enumerate(seen):
        tables['sample_annotation'].append(
            dict(token=names[index], sample_token=tokens[k], instance_token=instance, visibility_token='4',
                 attribute_tokens=[f'attribute-{attribute}'] if attribute else [], translation=places[index].tolist(),
                 size=size.tolist(), rotation=turn, prev=names[index - 1] if index else '', num_radar_pts=0,
                 next=names[index + 1] if index + 1 < len(names) else '', num_lidar_pts=points[index])
        )  # fmt: skip
    known = velocity if len(names) > 1 else np.full(2, np.nan)
    name = category_to_detection_name(category) or category
    return {k: (name, places[i], size, yaw, known, points[i]) for i, k in enumerate(seen)}


def _info(token, scene, time, ego, rotation, heading, objects):
    names, places, sizes, yaws, velocities, points = zip(*objects) if objects else ([], [], [], [], [], [])
    turn = heading - np.pi / 2  # of the LiDAR's x axis
    inverse = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    lidar = ego + [_MOUNT[0][0] * np.cos(heading), _MOUNT[0][0] * np.sin(heading), _MOUNT[0][2]]
    offset = np.array(places).reshape(-1, 3) - lidar
    boxes = [offset[:, :2] @ inverse.T, offset[:, 2:], np.array(sizes).reshape(-1, 3)[:, [1, 0, 2]],
             np.array(yaws).reshape(-1, 1) - turn]  # fmt: skip
    points = np.array(points, dtype=np.int64)
    return dict(
        token=token, scene_token=scene, scene_name=scene, timestamp=time, cams={}, sweeps=[],
        lidar_path=f'samples/LIDAR_TOP/{token}.pcd.bin',
        lidar2ego_translation=_MOUNT[0], lidar2ego_rotation=_MOUNT[1],
        ego2global_translation=ego.tolist(), ego2global_rotation=rotation,
        gt_boxes=np.concatenate(boxes, axis=1), gt_names=np.array(names, dtype=str),
        gt_velocity=np.array(velocities).reshape(-1, 2) @ inverse.T,
        num_lidar_pts=points, num_radar_pts=points * 0, valid_flag=points > 0,
    )  # fmt: skip
