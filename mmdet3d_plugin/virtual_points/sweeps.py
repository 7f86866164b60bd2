"""LiDAR sweeps and the camera images nearest to them in time, from the nuScenes tables."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from dualdistill_runtime.poses import invert_pose, sensor_to_global

from ..datasets.infos.cameras import CAMERAS, LIDAR
from ..datasets.infos.devkit_records import sensor_record, walk


class SweepTask(NamedTuple):
    """Tokens of one LiDAR sweep and of its camera images; small, so that a whole data set fits into a list."""

    lidar: str
    cameras: tuple
    far_images: int  # cameras without an image near enough in time


@dataclass(frozen=True)
class CameraImage:
    """A camera image beside a LiDAR sweep.

    Attributes:
        channel (str): Camera name.
        path (str): Image file, relative to the data root.
        width (int), height (int): Image size, px.
        intrinsic (np.ndarray): (3, 3) px; pixel centres are whole numbers.
        lidar_to_camera (np.ndarray): (4, 4), from the LiDAR frame at the sweep's time to the camera frame at the
            image's time, through both ego poses: the car's own motion in between is compensated.
        record (dict): Poses and times it was computed from.
    """

    channel: str
    path: str
    width: int
    height: int
    intrinsic: np.ndarray
    lidar_to_camera: np.ndarray
    record: dict = field(repr=False)


@dataclass(frozen=True)
class LidarSweep:
    """A LiDAR file, ``path`` relative to the data root, its pose ``record`` and its ``images`` (list[CameraImage])."""

    path: str
    record: dict = field(repr=False)
    images: list


def scene_tasks(nusc, scene, max_gap, cameras=CAMERAS):
    """Every LiDAR sweep of a scene with its nearest images, keyframes and the sweeps between them, in order of time.

    Args:
        nusc (NuScenes): Tables.
        scene (dict): Scene record.
        max_gap (float): An image further off in time is not used, s.
        cameras (Sequence[str]): Cameras to look at.

    Returns:
        list[SweepTask]: One per sweep; a sweep without any near image has no cameras.
    """
    sample = nusc.get('sample', scene['first_sample_token'])
    chains = {name: _whole_chain(nusc, sample, name) for name in (LIDAR, *cameras) if name in sample['data']}
    times = {name: np.array([data['timestamp'] for data in chain]) for name, chain in chains.items()}
    tasks = []
    for sweep in chains.get(LIDAR, []):
        images = []
        for name in cameras:
            if name in chains:
                distance = np.abs(times[name] - sweep['timestamp'])
                nearest = int(distance.argmin())
                if distance[nearest] <= max_gap * 1e6:
                    images.append(chains[name][nearest]['token'])
        tasks.append(SweepTask(sweep['token'], tuple(images), len(cameras) - len(images)))
    return tasks


def _whole_chain(nusc, sample, channel):
    start = nusc.get('sample_data', sample['data'][channel])
    before = list(walk(nusc, start, 'prev', sample['scene_token']))
    return [*before[::-1], start, *walk(nusc, start, 'next', sample['scene_token'])]


def load_sweep(nusc, task):
    """LidarSweep: Paths and transforms of a task."""
    lidar_data = nusc.get('sample_data', task.lidar)
    record = sensor_record(nusc, lidar_data)
    lidar_to_global = sensor_to_global(record)
    images = []
    for token in task.cameras:
        data = nusc.get('sample_data', token)
        camera = sensor_record(nusc, data)
        images.append(
            CameraImage(
                channel=data['channel'],
                path=data['filename'],
                width=data['width'],
                height=data['height'],
                intrinsic=camera.pop('cam_intrinsic'),
                lidar_to_camera=invert_pose(sensor_to_global(camera)) @ lidar_to_global,
                record=camera,
            )
        )
    return LidarSweep(path=lidar_data['filename'], record=record, images=images)
