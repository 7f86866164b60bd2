"""Frames of the devkit's tables, one by one, for code that needs few of them."""

import numpy as np

from .cameras import LIDAR


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
