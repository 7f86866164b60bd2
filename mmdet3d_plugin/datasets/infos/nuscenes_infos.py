"""Base infos: one dict per keyframe with LiDAR, sweeps, cameras and boxes, from the nuScenes tables."""

import functools
import os
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from .cameras import CAMERAS
from .categories import detection_class
from .geometry import invert_pose, sensor_to_global
from .parallel import map_with_tables

LIDAR = 'LIDAR_TOP'
_NAMED_FILES = 5


@dataclass
class SceneInfos:
    """Infos of one scene, or of several added up, and what was wrong with the files."""

    infos: list = field(default_factory=list)
    missing_samples: list = field(default_factory=list)  # keyframe files, relative to the data root
    missing_sweeps: int = 0  # LiDAR sweep files, counted once per info that would have used them
    absent_scenes: list = field(default_factory=list)  # names of scenes without a single keyframe file
    categories: Counter = field(default_factory=Counter)  # annotated boxes of each category


def walk(nusc, sample_data, direction, scene_token):
    """Follow a sensor's chain of frames without leaving the scene.

    Args:
        nusc (NuScenes): Tables.
        sample_data (dict): Record to start from; not yielded itself.
        direction (str): ``prev`` or ``next``.
        scene_token (str): Scene to stay in.

    Yields:
        dict: ``sample_data`` records, nearest first.
    """
    while sample_data[direction]:
        sample_data = nusc.get('sample_data', sample_data[direction])
        if nusc.get('sample', sample_data['sample_token'])['scene_token'] != scene_token:
            return
        yield sample_data


def keyframes(nusc, scene):
    """Yield the sample records of a scene in order of time."""
    token = scene['first_sample_token']
    while token:
        sample = nusc.get('sample', token)
        yield sample
        token = sample['next']


def sensor_record(nusc, sample_data):
    """Path, time and poses of one sensor frame; rotations are quaternions (w, x, y, z), times microseconds."""
    mount = nusc.get('calibrated_sensor', sample_data['calibrated_sensor_token'])
    pose = nusc.get('ego_pose', sample_data['ego_pose_token'])
    record = dict(
        data_path=sample_data['filename'],
        type='lidar' if sample_data['channel'] == LIDAR else sample_data['channel'],
        sample_data_token=sample_data['token'],
        timestamp=sample_data['timestamp'],
        sensor2ego_translation=mount['translation'],
        sensor2ego_rotation=mount['rotation'],
        ego2global_translation=pose['translation'],
        ego2global_rotation=pose['rotation'],
    )
    if mount['camera_intrinsic']:
        record['cam_intrinsic'] = np.array(mount['camera_intrinsic'], dtype=np.float64)
    return record


def _with_lidar_pose(record, global_to_lidar):
    """Add the transform from the sensor at its time to the keyframe's LiDAR frame (column-vector convention)."""
    to_lidar = global_to_lidar @ sensor_to_global(record)
    record.update(sensor2lidar_rotation=to_lidar[:3, :3], sensor2lidar_translation=to_lidar[:3, 3])
    return record


def _annotations(nusc, sample, lidar_to_global, class_map):
    """Boxes of a keyframe in its LiDAR frame, velocities in m/s (NaN where the tables cannot tell)."""
    records = [nusc.get('sample_annotation', token) for token in sample['anns']]
    _, boxes, _ = nusc.get_sample_data(sample['data'][LIDAR])
    centres = np.array([box.center for box in boxes]).reshape(-1, 3)
    wlh = np.array([box.wlh for box in boxes]).reshape(-1, 3)
    # Heading of the box's x axis in the LiDAR's x-y plane: the yaw the devkit's evaluation compares.
    heading = np.array([box.rotation_matrix[:2, 0] for box in boxes]).reshape(-1, 2)
    yaw = np.arctan2(heading[:, 1], heading[:, 0])
    velocity = np.array([nusc.box_velocity(token) for token in sample['anns']]).reshape(-1, 3)
    velocity[:, 2] = 0  # detection velocities live in the ground plane, and z differences are annotation noise
    lidar_points = np.array([record['num_lidar_pts'] for record in records], dtype=np.int64)
    radar_points = np.array([record['num_radar_pts'] for record in records], dtype=np.int64)
    names = [detection_class(r['category_name'], class_map) or r['category_name'] for r in records]
    return dict(
        gt_boxes=np.concatenate([centres, wlh[:, [1, 0, 2]], yaw[:, None]], axis=1),
        gt_names=np.array(names, dtype=str),
        gt_velocity=(velocity @ lidar_to_global[:3, :3])[:, :2],  # row vectors: v @ R is R^-1 v
        num_lidar_pts=lidar_points,
        num_radar_pts=radar_points,
        valid_flag=(lidar_points + radar_points) > 0,
    )


def sample_info(nusc, sample, max_sweeps, exists, cameras=CAMERAS, class_map=None):
    """Info of one keyframe.

    Args:
        nusc (NuScenes): Tables.
        sample (dict): Sample record.
        max_sweeps (int): LiDAR sweeps to look back at most.
        exists (Callable): Tells whether a file, relative to the data root, is there.
        cameras (Sequence[str]): Cameras of the info, in this order.
        class_map (dict[str, str], optional): See :func:`categories.detection_class`.

    Returns:
        tuple[dict, int]: The info and the number of sweeps left out because their file is missing.
    """
    absent = [channel for channel in (LIDAR, *cameras) if channel not in sample['data']]
    if absent:
        raise ValueError(f'sample {sample["token"]} has no keyframe of {", ".join(absent)} in the nuScenes tables')
    lidar_data = nusc.get('sample_data', sample['data'][LIDAR])
    lidar = sensor_record(nusc, lidar_data)
    lidar_to_global = sensor_to_global(lidar)
    global_to_lidar = invert_pose(lidar_to_global)
    looked_at = list(islice(walk(nusc, lidar_data, 'prev', sample['scene_token']), max_sweeps))
    sweeps = [data for data in looked_at if exists(data['filename'])]
    cams = {name: sensor_record(nusc, nusc.get('sample_data', sample['data'][name])) for name in cameras}
    info = dict(
        token=sample['token'],
        scene_token=sample['scene_token'],
        scene_name=nusc.get('scene', sample['scene_token'])['name'],
        timestamp=sample['timestamp'],
        lidar_path=lidar['data_path'],
        sweeps=[_with_lidar_pose(sensor_record(nusc, data), global_to_lidar) for data in sweeps],
        cams={name: _with_lidar_pose(record, global_to_lidar) for name, record in cams.items()},
        lidar2ego_translation=lidar['sensor2ego_translation'],
        lidar2ego_rotation=lidar['sensor2ego_rotation'],
        ego2global_translation=lidar['ego2global_translation'],
        ego2global_rotation=lidar['ego2global_rotation'],
        **_annotations(nusc, sample, lidar_to_global, class_map),
    )
    return info, len(looked_at) - len(sweeps)


def scene_infos(nusc, scene, max_sweeps=10, cameras=CAMERAS, class_map=None):
    """Infos of one scene; a scene of which no keyframe file is there counts as not downloaded.

    Returns:
        SceneInfos: With ``infos`` only for a scene whose keyframe files are all there.
    """
    exists = functools.cache(lambda name: os.path.isfile(os.path.join(nusc.dataroot, name)))
    samples = list(keyframes(nusc, scene))
    tokens = [token for sample in samples for name, token in sample['data'].items() if name in (LIDAR, *cameras)]
    files = [nusc.get('sample_data', token)['filename'] for token in tokens]
    missing = [name for name in files if not exists(name)]
    if missing and len(missing) == len(files):
        return SceneInfos(absent_scenes=[scene['name']])
    if missing:
        return SceneInfos(missing_samples=missing)
    result = SceneInfos()
    for sample in samples:
        info, missing_sweeps = sample_info(nusc, sample, max_sweeps, exists, cameras, class_map)
        result.infos.append(info)
        result.missing_sweeps += missing_sweeps
        result.categories.update(nusc.get('sample_annotation', token)['category_name'] for token in sample['anns'])
    return result


def build_infos(nusc, scenes, max_sweeps=10, workers=1, cameras=CAMERAS, class_map=None):
    """Infos of several scenes.

    Args:
        nusc (NuScenes): Tables.
        scenes (list[dict]): Scene records.
        max_sweeps (int): LiDAR sweeps to look back at most.
        workers (int): Processes.
        cameras (Sequence[str]): Cameras of the infos, in this order.
        class_map (dict[str, str], optional): See :func:`categories.detection_class`.

    Returns:
        SceneInfos: All scenes added up.

    Raises:
        FileNotFoundError: Files of some keyframes are missing, or the files of all scenes; the message names them.
    """
    total = SceneInfos()
    work = functools.partial(scene_infos, max_sweeps=max_sweeps, cameras=cameras, class_map=class_map)
    for part in map_with_tables(work, scenes, nusc, workers):
        total.infos += part.infos
        total.missing_samples += part.missing_samples
        total.missing_sweeps += part.missing_sweeps
        total.absent_scenes += part.absent_scenes
        total.categories += part.categories
    if total.missing_samples:
        names = ', '.join(total.missing_samples[:_NAMED_FILES])
        more = len(total.missing_samples) - _NAMED_FILES
        raise FileNotFoundError(
            f'{nusc.dataroot}: {len(total.missing_samples)} keyframe file(s) are missing: {names}'
            + (f' and {more} more' if more > 0 else '')
            + '. Download them again, or remove all keyframe files of a scene to leave the scene out.'
        )
    if scenes and not total.infos:
        raise FileNotFoundError(
            f'{nusc.dataroot}: no keyframe file of any of the {len(scenes)} scene(s) is there '
            f'(looked for those of {LIDAR} and {", ".join(cameras)}): is this the data root?'
        )
    return total
