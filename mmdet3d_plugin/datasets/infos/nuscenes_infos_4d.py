"""4-D infos: base infos plus the camera frames before each keyframe."""

import functools
import os
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from .cameras import CAMERAS, reference_camera
from .nuscenes_infos import sensor_record, walk
from .parallel import map_with_tables

# Cameras fire up to half a turn of the LiDAR apart; an image further off than this shows another moment.
MAX_CAMERA_SKEW = 0.15  # s


@dataclass
class SequentialInfos:
    """4-D infos of one scene, or of several added up."""

    infos: list = field(default_factory=list)
    frames: int = 0  # entries in all `prev` lists
    missing_frames: int = 0  # entries left out because a camera's file is missing or no image is near in time


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


def scene_infos_4d(nusc, infos, interval=3, max_prev=60):
    """4-D infos of one scene, with the cameras of its base infos.

    Args:
        nusc (NuScenes): Tables.
        infos (list[dict]): Base infos of the scene's keyframes; left as they are.
        interval (int): Step between frames, in camera sweeps.
        max_prev (int): Furthest frame, in camera sweeps.

    Returns:
        SequentialInfos: Same order as ``infos``.
    """
    exists = functools.cache(lambda name: os.path.isfile(os.path.join(nusc.dataroot, name)))
    records = {}

    def record_of(sample_data):
        # One shared dict per image: neighbouring keyframes list the same images, and pickle stores a shared dict once.
        token = sample_data['token']
        if token not in records:
            records[token] = sensor_record(nusc, sample_data)
        return records[token]

    result = SequentialInfos()
    for info in infos:
        sample = nusc.get('sample', info['token'])
        frames, skipped = earlier_frames(nusc, sample, interval, max_prev, record_of, exists, tuple(info['cams']))
        result.frames += len(frames)
        result.missing_frames += skipped
        result.infos.append(dict(info, prev=frames))
    return result


def build_infos_4d(nusc, infos, interval=3, max_prev=60, workers=1):
    """4-D infos of any number of scenes; see :func:`scene_infos_4d`.

    Args:
        workers (int): Processes.

    Returns:
        SequentialInfos: Infos grouped by scene, scenes in order of their first info.
    """
    scenes = {}
    for info in infos:
        scenes.setdefault(info['scene_token'], []).append(info)
    work = functools.partial(scene_infos_4d, interval=interval, max_prev=max_prev)
    total = SequentialInfos()
    for part in map_with_tables(work, list(scenes.values()), nusc, workers):
        total.infos += part.infos
        total.frames += part.frames
        total.missing_frames += part.missing_frames
    return total
