"""Tables of a nuScenes of any size, without a world behind them: for measuring converters, data sets and evaluation.

The numbers of rows follow the real data set (850 scenes have 34,170 keyframes, 2.6 million sensor frames and a million
annotations), and so do names, tokens and the digits of numbers. What objects do makes no sense beyond that: they drive
straight on around the car. Rows are written as they come, so memory does not grow with the number of scenes.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from nuscenes.utils.splits import create_splits_scenes

from .classes import ATTRIBUTES, SPECS
from .rig import CAMERAS, LIDAR, build_rig
from .schedule import scene_origin
from .tables import TABLES, VISIBILITY, ego_quaternion, token

RADARS = ('RADAR_FRONT', 'RADAR_FRONT_LEFT', 'RADAR_FRONT_RIGHT', 'RADAR_BACK_LEFT', 'RADAR_BACK_RIGHT')
FRAMES_PER_SECOND = {LIDAR: 20, **dict.fromkeys(CAMERAS, 12), **dict.fromkeys(RADARS, 13)}
VERSION = 'v1.0-trainval'
_KEYFRAMES = 40  # of a scene; every fifth scene has one more
_INSTANCES, _SHORTEST, _LONGEST = 75, 1, 31  # objects of a scene, and keyframes in which one is seen
_OFFICIAL = {'train': 700, 'val': 150}
_EXTENSIONS = {'lidar': 'pcd.bin', 'camera': 'jpg', 'radar': 'pcd'}


def simulate_tables(root: str | Path, scenes: int, seed: int = 0, touch: bool = False) -> dict[str, int]:
    """Write ``<root>/v1.0-trainval/*.json`` and an empty map.

    Args:
        root: Data root; the version folder must not exist.
        scenes: Up to 850; about 150 of 850 are validation scenes.
        seed: Of all numbers and tokens.
        touch: Also make the sensor files, empty, for the LiDAR and the cameras: the converters look for them.

    Returns:
        Rows of each table.

    Raises:
        ValueError: More scenes than there are official names, or fewer than two.
        FileExistsError: The version folder is there already.
    """
    names = _scene_names(scenes)
    root = Path(root)
    (root / VERSION).mkdir(parents=True)
    with contextlib.ExitStack() as stack:
        writers = {name: stack.enter_context(_RowWriter(root / VERSION / f'{name}.json')) for name in TABLES}
        files = _SensorFiles(root) if touch else None
        _Simulation(seed, writers, files).run(names)
    (root / 'maps').mkdir()
    (root / 'maps' / 'map.png').touch()
    return {name: writer.rows for name, writer in writers.items()}


def _scene_names(scenes):
    total = sum(_OFFICIAL.values())
    if not 2 <= scenes <= total:
        raise ValueError(f'scenes={scenes}: choose 2 to {total}, for which there are official names')
    val = max(1, round(scenes * _OFFICIAL['val'] / total))
    official = create_splits_scenes()
    return official['train'][: scenes - val] + official['val'][:val]


class _RowWriter:
    """A json list written row by row, one row a line."""

    def __init__(self, path):
        self.path, self.rows = path, 0

    def __enter__(self):
        self._stream = open(self.path, 'w', encoding='ascii')
        self._stream.write('[')
        return self

    def __exit__(self, *error):
        self._stream.write('\n]')
        self._stream.close()

    def __call__(self, **row):
        self._stream.write((',\n' if self.rows else '\n') + json.dumps(row))
        self.rows += 1


class _SensorFiles:
    """Makes empty files, and their folders once."""

    def __init__(self, root):
        self.root, self._folders = root, set()

    def __call__(self, name):
        path = self.root / name
        if path.parent not in self._folders:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._folders.add(path.parent)
        path.touch()


class _Simulation:
    """Writes the rows of all tables."""

    def __init__(self, seed, writers, files):
        self.seed, self.write, self.files = seed, writers, files
        self.categories = {spec.category: self._token('category', spec.category) for spec in SPECS.values()}

    def _token(self, *key):
        return token(self.seed, *key)

    def run(self, names):
        self._constants()
        logs = [self._scene(number, name) for number, name in enumerate(names)]
        self.write['map'](token=self._token('map'), log_tokens=logs, category='semantic_prior', filename='maps/map.png')

    def _constants(self):
        for category, category_token in self.categories.items():
            self.write['category'](token=category_token, name=category, description='')
        for name in ATTRIBUTES:
            self.write['attribute'](token=self._token('attribute', name), name=name, description='')
        for name, level, _ in VISIBILITY:
            self.write['visibility'](token=name, level=level, description='')
        for channel in FRAMES_PER_SECOND:
            self.write['sensor'](token=self._token('sensor', channel), channel=channel, modality=_modality(channel))

    def _scene(self, number, name):
        rng = np.random.default_rng([self.seed, number])
        keyframes = _KEYFRAMES + (number % 5 == 0)
        log, scene = self._token('log', number), self._token('scene', number)
        samples = [self._token('sample', number, k) for k in range(keyframes)]
        times = scene_origin(number) + np.arange(keyframes) * 500_000 + rng.integers(-2000, 2001, keyframes)
        self.write['log'](token=log, logfile=_log_name(number), vehicle='n015', date_captured='2018-07-24',
                          location='singapore-onenorth')  # fmt: skip
        self.write['scene'](token=scene, log_token=log, nbr_samples=keyframes, first_sample_token=samples[0],
                            last_sample_token=samples[-1], name=name, description='')  # fmt: skip
        for (own, prev, following), time in zip(_linked(samples), times.tolist()):
            self.write['sample'](token=own, timestamp=time, prev=prev, next=following, scene_token=scene)
        drive = _Drive(rng)
        for channel in FRAMES_PER_SECOND:
            self._frames(number, channel, samples, times, drive)
        for index in range(_INSTANCES):
            self._instance(number, index, samples, drive, rng)
        return log

    def _frames(self, number, channel, samples, times, drive):
        mount = self._token('calibrated_sensor', number, channel)
        self.write['calibrated_sensor'](token=mount, sensor_token=self._token('sensor', channel), **_mount(channel))
        modality = _modality(channel)
        extension = _EXTENSIONS[modality]
        width, height = (1600, 900) if modality == 'camera' else (0, 0)
        rows = list(_schedule(channel, times))
        tokens = [self._token('sample_data', number, channel, k) for k in range(len(rows))]
        for (own, prev, following), (keyframe, is_key, stamp) in zip(_linked(tokens), rows):
            folder = 'samples' if is_key else 'sweeps'
            filename = f'{folder}/{channel}/{_log_name(number)}__{channel}__{stamp}.{extension}'
            translation, rotation = drive.pose((stamp - times[0]) * 1e-6)
            self.write['ego_pose'](token=own, timestamp=stamp, rotation=rotation, translation=translation)
            self.write['sample_data'](
                token=own, sample_token=samples[keyframe], ego_pose_token=own, calibrated_sensor_token=mount,
                timestamp=stamp, fileformat=extension.split('.')[0], is_key_frame=is_key, height=height, width=width,
                filename=filename, prev=prev, next=following,
            )  # fmt: skip
            if self.files and modality != 'radar':
                self.files(filename)

    def _instance(self, number, index, samples, drive, rng):
        length = int(rng.integers(_SHORTEST, _LONGEST + 1))
        first = int(rng.integers(0, len(samples) - length + 1))
        seen = samples[first : first + length]
        tokens = [self._token('sample_annotation', number, index, k) for k in range(len(seen))]
        spec = list(SPECS.values())[rng.integers(len(SPECS))]
        instance = self._token('instance', number, index)
        self.write['instance'](token=instance, category_token=self.categories[spec.category],
                               nbr_annotations=len(seen), first_annotation_token=tokens[0],
                               last_annotation_token=tokens[-1])  # fmt: skip
        start = drive.pose(first * 0.5)[0] + np.append(rng.uniform(-50, 50, 2), 1.0)
        velocity = np.append(rng.uniform(-3, 3, 2), 0.0) * (rng.random() < spec.moving)
        attribute = spec.attribute if velocity.any() else spec.attribute_still
        shared = dict(
            instance_token=instance, visibility_token=str(rng.integers(1, 5)),
            attribute_tokens=[self._token('attribute', attribute)] if attribute else [],
            size=[spec.size[1], spec.size[0], spec.size[2]], rotation=ego_quaternion(rng.uniform(-np.pi, np.pi)),
        )  # fmt: skip
        points = rng.geometric(0.05, length) - 1
        for k, (own, prev, following) in enumerate(_linked(tokens)):
            translation = np.round(start + velocity * k * 0.5, 3).tolist()
            self.write['sample_annotation'](
                token=own, sample_token=seen[k], translation=translation, prev=prev, next=following,
                num_lidar_pts=int(points[k]), num_radar_pts=int(points[k]) // 8, **shared,
            )  # fmt: skip


class _Drive:
    """A car on a wide circle, somewhere on a map."""

    def __init__(self, rng):
        self._start = rng.uniform(300, 2500, 2)
        self._yaw, self._turn, self._speed = rng.uniform(-np.pi, np.pi), rng.uniform(-0.1, 0.1), rng.uniform(0, 12)

    def pose(self, seconds):
        """Translation (3,) in m and quaternion (w, x, y, z), as lists."""
        yaw = float(self._yaw + self._turn * seconds)
        step = self._speed * seconds * np.array([np.cos(yaw), np.sin(yaw)])
        return [*(self._start + step).tolist(), 0.0], ego_quaternion(yaw)


def _schedule(channel, times) -> Iterator[tuple[int, bool, int]]:
    """Keyframe that a frame belongs to (its own or the next one), whether it is one, and its time in us."""
    rate = FRAMES_PER_SECOND[channel]
    rig = build_rig(1600, 900)
    offset = round(rig[channel].trigger_offset * 1e6) if channel in rig else 7000
    before = 0
    for k, time in enumerate(times.tolist()):
        frames = (k * rate) // 2 - before
        before += frames
        for i in range(1, frames):
            yield k, False, times[k - 1].item() + round((time - times[k - 1].item()) * i / frames) + offset
        yield k, True, time + offset


def _mount(channel):
    sensor = build_rig(1600, 900).get(channel)
    if sensor is None:
        return dict(translation=[3.412, 0.0, 0.5], rotation=[1.0, 0.0, 0.0, 0.0], camera_intrinsic=[])
    intrinsic = [] if sensor.intrinsic is None else sensor.intrinsic.tolist()
    return dict(translation=sensor.translation.tolist(), rotation=list(sensor.quaternion), camera_intrinsic=intrinsic)


def _modality(channel):
    return 'lidar' if channel == LIDAR else 'radar' if channel in RADARS else 'camera'


def _log_name(number):
    return f'n015-2018-07-24-{number // 3600:02d}-{number // 60 % 60:02d}-{number % 60:02d}+0800'


def _linked(tokens):
    """(token, prev, next) triples with '' at both ends."""
    return zip(tokens, ['', *tokens[:-1]], [*tokens[1:], ''])
