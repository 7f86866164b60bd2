"""Infos made sample by sample from the devkit's objects: the slow reference of the converters."""

from itertools import islice

import numpy as np

from dualdistill_runtime.cameras import reference_camera
from dualdistill_runtime.poses import invert_pose, sensor_to_global
from mmdet3d_plugin.datasets.infos.cameras import CAMERAS, LIDAR
from mmdet3d_plugin.datasets.infos.categories import detection_class
from mmdet3d_plugin.datasets.infos.devkit_records import sensor_record, walk
from mmdet3d_plugin.datasets.infos.nuscenes_infos_4d import MAX_CAMERA_SKEW


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


def earlier_frames(nusc, sample, interval, max_prev, record_of, exists, cameras=CAMERAS):
    """Every ``interval``-th camera frame before a keyframe, inside its scene.

    Frames are counted along the reference camera, CAM_FRONT where there is one; each other camera gives its image
    nearest in time.

    Args:
        nusc (NuScenes): Tables.
        sample (dict): Sample record of the keyframe.
        interval (int): Step, in camera sweeps.
        max_prev (int): Furthest frame, in camera sweeps.
        record_of (Callable): sample_data record -> sensor record.
        exists (Callable): Tells whether a file, relative to the data root, is there.
        cameras (Sequence[str]): Cameras of every frame, in this order.

    Returns:
        tuple[list[dict], int]: Frames, nearest first, each ``dict(timestamp, cams)``; and the number left out.
    """
    chains, reference_name = {}, reference_camera(cameras)
    for name in cameras:
        start = nusc.get('sample_data', sample['data'][name])
        # One step more than the reference: another camera's nearest image may lie just behind.
        length = max_prev + (name != reference_name)
        chains[name] = list(islice(walk(nusc, start, 'prev', sample['scene_token']), length))
    times = {name: np.array([data['timestamp'] for data in chain], dtype=np.int64) for name, chain in chains.items()}
    frames, skipped = [], 0
    for reference in chains[reference_name][interval - 1 :: interval]:
        images = {}
        for name, chain in chains.items():
            distance = np.abs(times[name] - reference['timestamp'])
            nearest = int(distance.argmin()) if len(chain) else None
            near = nearest is not None and distance[nearest] <= MAX_CAMERA_SKEW * 1e6
            if near and exists(chain[nearest]['filename']):
                images[name] = record_of(chain[nearest])
        if len(images) == len(cameras):
            frames.append(dict(timestamp=reference['timestamp'], cams=images))
        else:
            skipped += 1
    return frames, skipped
