"""Unlabelled infos: one dict per chosen LiDAR sweep between keyframes, with the images nearest in time and no boxes."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dualdistill_runtime.cameras import reference_camera
from dualdistill_runtime.poses import invert_pose, sensor_to_global

from .cameras import CAMERAS, LIDAR
from .devkit_records import keyframes, sensor_record, walk
from .parallel import map_with_tables

# s. A camera's images are 1/12 s apart, and it may fire half a turn of the LiDAR (1/40 s) from the sweep's own time.
MAX_SKEW = 0.075


@dataclass
class UnlabelledInfos:
    """Infos of one scene, or of several added up, and what was left out."""

    infos: list = field(default_factory=list)
    missing: int = 0  # sweeps left out because a file is missing or a camera has no image near in time


@dataclass
class _Chain:
    """All frames of a sensor in a scene, in order of time."""

    frames: list
    times: np.ndarray  # (N,) int64 us

    @classmethod
    def of(cls, nusc, first, scene_token):
        frames = [first, *walk(nusc, first, 'next', scene_token)]
        return cls(frames, np.array([frame['timestamp'] for frame in frames], dtype=np.int64))

    def nearest(self, time, skew):
        """Index of the frame nearest to a time (us), None when it is more than ``skew`` (s) away."""
        index = int(np.abs(self.times - time).argmin())
        return index if abs(int(self.times[index]) - time) <= skew * 1e6 else None


def spread(count: int, wanted: int) -> list[int]:
    """Which of ``count`` sweeps between two keyframes are taken: ``wanted`` at even distances, or all there are."""
    if wanted >= count:
        return list(range(count))
    return [round((step + 1) * (count + 1) / (wanted + 1)) - 1 for step in range(wanted)]


class _Scene:
    """What a sweep's info needs of its scene."""

    def __init__(self, nusc, scene, cameras, options):
        self.nusc, self.scene, self.cameras, self.options = nusc, scene, cameras, options
        first = nusc.get('sample', scene['first_sample_token'])
        self.chains = {
            name: _Chain.of(nusc, nusc.get('sample_data', first['data'][name]), scene['token'])
            for name in (LIDAR, *cameras)
        }
        self.exists = functools.cache(lambda name: os.path.isfile(os.path.join(nusc.dataroot, name)))
        # one object per frame: infos list the same frames again and again, and pickle writes one object once
        self._records = {}

    def record(self, name, index):
        key = (name, index)
        if key not in self._records:
            self._records[key] = sensor_record(self.nusc, self.chains[name].frames[index])
        return self._records[key]

    def there(self, name, index):
        return self.exists(self.chains[name].frames[index]['filename'])

    def chosen(self, per_interval):
        """Indices of the LiDAR frames that become infos."""
        keys = [index for index, frame in enumerate(self.chains[LIDAR].frames) if frame['is_key_frame']]
        return [
            before + 1 + step
            for before, after in zip(keys, keys[1:])
            for step in spread(after - before - 1, per_interval)
        ]

    def images(self, time, skew):
        """Camera -> index of its image nearest to a time (us); None when one is too far off or its file is missing."""
        nearest = {name: self.chains[name].nearest(time, skew) for name in self.cameras}
        present = all(index is not None and self.there(name, index) for name, index in nearest.items())
        return nearest if present else None

    def earlier(self, images):
        """Camera frames before those of ``images``, nearest first, as 4-D infos list them."""
        reference, interval = reference_camera(self.cameras), self.options['interval']
        last = max(images[reference] - self.options['max_prev'], 0)
        frames = []
        for index in range(images[reference] - interval, last - 1, -interval):
            time = int(self.chains[reference].times[index])
            then = self.images(time, self.options['max_skew'])
            if then is not None:
                cams = {name: self.record(name, place) for name, place in then.items()}
                frames.append(dict(timestamp=time, cams=cams))
        return frames

    def info(self, index):
        """Info of a LiDAR frame; None when a file of it is missing."""
        frame = self.chains[LIDAR].frames[index]
        images = self.images(frame['timestamp'], self.options['max_skew'])
        if images is None or not self.there(LIDAR, index):
            return None
        lidar = self.record(LIDAR, index)
        to_lidar = invert_pose(sensor_to_global(lidar))
        sweeps = [i for i in range(index - 1, -1, -1)[: self.options['max_sweeps']] if self.there(LIDAR, i)]
        return dict(
            token=frame['token'],
            scene_token=self.scene['token'],
            scene_name=self.scene['name'],
            timestamp=frame['timestamp'],
            lidar_path=lidar['data_path'],
            sweeps=[_placed(self.record(LIDAR, i), to_lidar) for i in sweeps],
            cams={name: _placed(self.record(name, i), to_lidar) for name, i in images.items()},
            lidar2ego_translation=lidar['sensor2ego_translation'],
            lidar2ego_rotation=lidar['sensor2ego_rotation'],
            ego2global_translation=lidar['ego2global_translation'],
            ego2global_rotation=lidar['ego2global_rotation'],
            prev=self.earlier(images),
            **no_annotations(),
        )


def _placed(record, global_to_lidar):
    """A sensor record with the transform from its sensor to the sweep's LiDAR frame (column vectors)."""
    to_lidar = global_to_lidar @ sensor_to_global(record)
    return dict(record, sensor2lidar_rotation=to_lidar[:3, :3], sensor2lidar_translation=to_lidar[:3, 3])


def no_annotations() -> dict[str, np.ndarray]:
    """The keys of a base info that hold annotations, empty."""
    return dict(
        gt_boxes=np.zeros((0, 7)),
        gt_names=np.zeros(0, dtype=str),
        gt_velocity=np.zeros((0, 2)),
        num_lidar_pts=np.zeros(0, dtype=np.int64),
        num_radar_pts=np.zeros(0, dtype=np.int64),
        valid_flag=np.zeros(0, dtype=bool),
    )


def scene_unlabelled_infos(nusc: Any, scene: dict, per_interval: int, cameras: Sequence[str], options: dict):
    """Infos of one scene, in order of time.

    Returns:
        UnlabelledInfos: empty for a scene without sweeps, as one of which only keyframes were downloaded.
    """
    first = next(keyframes(nusc, scene))
    absent = [name for name in (LIDAR, *cameras) if name not in first['data']]
    if absent:
        raise ValueError(f'sample {first["token"]} has no keyframe of {", ".join(absent)} in the nuScenes tables')
    frames = _Scene(nusc, scene, cameras, options)
    infos = [frames.info(index) for index in frames.chosen(per_interval)]
    kept = [info for info in infos if info is not None]
    return UnlabelledInfos(kept, missing=len(infos) - len(kept))


def build_unlabelled_infos(
    nusc: Any,
    scenes: Sequence[dict],
    per_interval: int,
    *,
    max_sweeps: int = 10,
    interval: int = 3,
    max_prev: int = 60,
    max_skew: float = MAX_SKEW,
    cameras: Sequence[str] = CAMERAS,
    workers: int = 1,
) -> UnlabelledInfos:
    """Infos of sweeps between the keyframes of several scenes; they have all keys of a 4-D info.

    ``token`` is that of the sweep's ``sample_data``, ``timestamp`` the sweep's own, and the frame is that of the LiDAR
    at this time.

    Args:
        nusc: the devkit's tables.
        scenes: scene records.
        per_interval: sweeps between two keyframes, at even distances.
        max_sweeps: earlier LiDAR frames of each sweep, keyframes among them.
        interval, max_prev: earlier camera frames, see :func:`nuscenes_infos_4d.earlier_frames`.
        max_skew: seconds between a sweep and an image; a sweep without nearer ones is left out.
        cameras: of the infos, in this order.
        workers: processes.

    Raises:
        ValueError: nothing is asked for, or a camera is not there.
    """
    if per_interval < 1:
        raise ValueError(f'at least one sweep between two keyframes must be wanted, got {per_interval}')
    options = dict(max_sweeps=max_sweeps, interval=interval, max_prev=max_prev, max_skew=max_skew)
    work = functools.partial(scene_unlabelled_infos, per_interval=per_interval, cameras=tuple(cameras), options=options)
    total = UnlabelledInfos()
    for part in map_with_tables(work, list(scenes), nusc, workers):
        total.infos += part.infos
        total.missing += part.missing
    return total
