"""The nuScenes tables as arrays: what converters need of them in a tenth of the memory of the devkit's objects.

The three large tables (sensor frames, poses, annotations) are read in chunks into columns, and only when asked for.
The small ones are lists of dicts as in the devkit.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from dualdistill_runtime.poses import pose_matrix

from .json_rows import map_rows, read_rows
from .table_errors import problems_explained

LARGE_TABLES = ('ego_pose', 'sample_data', 'sample_annotation')
SMALL_TABLES = (
    'category', 'attribute', 'visibility', 'instance', 'sensor', 'calibrated_sensor', 'log', 'scene', 'sample', 'map',
)  # fmt: skip


@dataclass(frozen=True)
class Frames:
    """Sensor frames of some channels, in the order of the table.

    Attributes:
        channels: Names; ``channel`` counts in them.
        token, filename: (N,) bytes.
        timestamp: (N,) int64 us.
        channel, sample, scene, mount: (N,) int32; rows of ``sample``, ``scene`` and ``calibrated_sensor``.
        translation, rotation: (N, 3) m and (N, 4) quaternions (w, x, y, z), ego to global.
        previous: (N,) int32 row of the frame before; -1 without one, and where that one was not asked for.
        keyframe: (samples, channels) int32 row of the keyframe; -1 where a sample has none.
    """

    channels: tuple[str, ...]
    token: np.ndarray
    filename: np.ndarray
    timestamp: np.ndarray
    channel: np.ndarray
    sample: np.ndarray
    scene: np.ndarray
    mount: np.ndarray
    translation: np.ndarray
    rotation: np.ndarray
    previous: np.ndarray
    keyframe: np.ndarray

    def before(self, rows: np.ndarray, length: int) -> np.ndarray:
        """Frames before some frames, along the chain of their sensor and inside their scene.

        Args:
            rows: (K,) rows to start from, which are not in the result.
            length: How many to look back.

        Returns:
            (K, length) int32 rows, nearest first; -1 behind the end of the chain or the border of the scene.
        """
        scene = self.scene[rows]
        found = np.full((len(rows), length), -1, dtype=np.int32)
        for step in range(length):
            rows = np.where(rows >= 0, self.previous[rows], -1)
            rows = np.where((rows >= 0) & (self.scene[rows] == scene), rows, -1)
            found[:, step] = rows
        return found


@dataclass(frozen=True)
class Annotations:
    """Annotated boxes in the order of the table.

    Attributes:
        token: (N,) bytes.
        sample, instance: (N,) int32 rows of ``sample`` and ``instance``.
        category: (N,) int32 row of ``category``.
        translation, size, rotation: (N, 3) m, (N, 3) width, length, height in m, (N, 4) quaternions, global frame.
        previous, following: (N,) int32 rows of the same object's boxes in the samples before and after; -1 without.
        num_lidar_pts, num_radar_pts: (N,) int64.
    """

    token: np.ndarray
    sample: np.ndarray
    instance: np.ndarray
    category: np.ndarray
    translation: np.ndarray
    size: np.ndarray
    rotation: np.ndarray
    previous: np.ndarray
    following: np.ndarray
    num_lidar_pts: np.ndarray
    num_radar_pts: np.ndarray

    @cached_property
    def _by_sample(self):
        order = np.argsort(self.sample, kind='stable')
        return order, self.sample[order]

    def of_samples(self, samples: Sequence[int]) -> list[np.ndarray]:
        """Rows of the boxes of each sample, in the order of the table."""
        order, sorted_samples = self._by_sample
        begins = np.searchsorted(sorted_samples, samples)
        ends = np.searchsorted(sorted_samples, samples, side='right')
        return [order[begin:end] for begin, end in zip(begins, ends)]


class TableColumns:
    """The tables of a version.

    Args:
        root: Data root, the folder that holds the version folders.
        version: Version folder.
        workers: Processes that read the large tables.

    Attributes:
        category, sensor, scene, sample, ...: Small tables, as lists of dicts.

    Raises:
        ValueError: A table or map is missing or damaged, or the tables do not fit each other; large tables are looked
            into when they are asked for.
    """

    def __init__(self, root: str | Path, version: str, workers: int = 1):
        self.dataroot, self.version, self.workers = str(root), version, workers
        self._folder = Path(root) / version
        self._frames = {}
        with self._problems_explained():
            if not self._folder.is_dir():
                raise FileNotFoundError(f'Database version not found: {self._folder}')
            for name in LARGE_TABLES:
                os.stat(self._folder / f'{name}.json')
            for name in SMALL_TABLES:
                setattr(self, name, read_rows(self._folder / f'{name}.json'))
            self._rows = {name: _index(getattr(self, name)) for name in SMALL_TABLES}
            self._check_maps()

    def _problems_explained(self):
        return problems_explained(self.dataroot, self.version)

    def _check_maps(self):
        """As the devkit does: every log has a map, and every map its picture."""
        if not self.map:
            raise IndexError
        for record in self.map:
            if not (Path(self.dataroot) / record['filename']).is_file():
                raise FileNotFoundError(f'map mask {record["filename"]} does not exist')
        listed = {token for record in self.map for token in record['log_tokens']}
        for record in self.log:
            if record['token'] not in listed:
                raise KeyError(record['token'])

    def get(self, table: str, token: str) -> dict:
        """Record of a small table, as in the devkit."""
        return getattr(self, table)[self.row(table, token)]

    def row(self, table: str, token: str) -> int:
        """Where a record stands in its small table; KeyError without one."""
        return self._rows[table][token]

    def samples_of(self, scene: dict) -> list[int]:
        """Rows of a scene's samples in order of time."""
        rows, token = [], scene['first_sample_token']
        while token:
            rows.append(self.row('sample', token))
            token = self.sample[rows[-1]]['next']
        return rows

    @cached_property
    def channels(self) -> list[str]:
        """Channel of each row of ``calibrated_sensor``."""
        return [self.get('sensor', record['sensor_token'])['channel'] for record in self.calibrated_sensor]

    @cached_property
    def mounts(self) -> np.ndarray:
        """(M, 4, 4) sensor-to-ego transform of each row of ``calibrated_sensor``."""
        records = self.calibrated_sensor
        translations = np.array([record['translation'] for record in records]).reshape(-1, 3)
        return pose_matrix(translations, np.array([record['rotation'] for record in records]).reshape(-1, 4))

    def frames(self, every: Sequence[str] = (), keyframes: Sequence[str] = ()) -> Frames:
        """Frames of some channels; a second call with the same channels gives the same object.

        Args:
            every: Channels of which all frames are wanted.
            keyframes: Channels of which only keyframes are wanted.
        """
        key = (tuple(every), tuple(keyframes))
        if key not in self._frames:
            with self._problems_explained():
                self._frames[key] = self._read_frames(*key)
        return self._frames[key]

    def _read_frames(self, every, keyframes):
        channels = (*every, *(name for name in keyframes if name not in every))
        number = {name: index for index, name in enumerate(channels)}
        mounts = {
            record['token']: (row, number.get(channel, -1), channel in every)
            for row, (record, channel) in enumerate(zip(self.calibrated_sensor, self.channels))
        }
        path = self._folder / 'sample_data.json'
        columns = _join(map_rows(path, _frame_columns, (mounts, self._rows['sample']), self.workers))
        rows = {token: row for row, token in enumerate(columns['token'].tolist())}
        whole = columns['channel'] < len(every)
        previous = np.where(whole, columns.pop('previous'), b'')
        scenes = np.array([self.row('scene', sample['scene_token']) for sample in self.sample], dtype=np.int32)
        translation, rotation = self._poses(columns.pop('pose'))
        is_key = columns.pop('is_key')
        keyframe = np.full((len(self.sample), len(channels)), -1, dtype=np.int32)
        keyframe[columns['sample'][is_key], columns['channel'][is_key]] = np.flatnonzero(is_key)
        return Frames(
            channels=channels, scene=scenes[columns['sample']], translation=translation, rotation=rotation,
            previous=_find(rows, previous), keyframe=keyframe, **columns,
        )  # fmt: skip

    def _poses(self, tokens):
        """Translations (N, 3) and rotations (N, 4) of the ego poses with these tokens."""
        wanted = _index_of_texts(tokens)
        where, translations, rotations = [], [], []
        # Chunks come with all their poses: workers that looked tokens up would each unshare the whole dict.
        for chunk in map_rows(self._folder / 'ego_pose.json', _pose_columns, None, self.workers):
            rows = np.array([wanted.get(token, -1) for token in chunk['token'].tolist()], dtype=np.int32)
            where.append(rows[rows >= 0])
            translations.append(chunk['translation'][rows >= 0])
            rotations.append(chunk['rotation'][rows >= 0])
        poses = np.full((len(wanted), 7), np.nan)
        poses[np.concatenate(where)] = np.hstack([np.concatenate(translations), np.concatenate(rotations)])
        rows = _find(wanted, tokens)
        missing = np.isnan(poses[rows, 0])
        if missing.any():
            raise KeyError(tokens[missing.argmax()].decode())
        return poses[rows, :3], poses[rows, 3:]

    @cached_property
    def annotations(self) -> Annotations:
        """All annotated boxes."""
        with self._problems_explained():
            return self._read_annotations()

    def _read_annotations(self):
        path = self._folder / 'sample_annotation.json'
        shared = (self._rows['sample'], self._rows['instance'])
        columns = _join(map_rows(path, _annotation_columns, shared, self.workers))
        categories = [self.row('category', record['category_token']) for record in self.instance]
        rows = _index_of_texts(columns['token'])
        return Annotations(
            category=np.array(categories, dtype=np.int32)[columns['instance']],
            previous=_find(rows, columns.pop('previous')),
            following=_find(rows, columns.pop('following')),
            **columns,
        )


def as_columns(tables) -> TableColumns:
    """Columns as they are; for the devkit's tables, the columns of their data root and version."""
    return tables if isinstance(tables, TableColumns) else TableColumns(tables.dataroot, tables.version)


def _index(records):
    return {record['token']: row for row, record in enumerate(records)}


def _index_of_texts(texts):
    return {text: row for row, text in enumerate(texts.tolist())}


def _find(rows, tokens):
    """(N,) int32 rows of tokens (N,) bytes; -1 for an empty one, KeyError for one that is not there."""
    return np.array([rows[token] if token else -1 for token in tokens.tolist()], dtype=np.int32)


def _join(chunks):
    """dict[str, np.ndarray]: The columns of all chunks."""
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def _texts(rows, key):
    return np.array([row[key].encode() for row in rows], dtype=bytes)


def _numbers(rows, key, width):
    return np.array([row[key] for row in rows], dtype=np.float64).reshape(len(rows), width)


def _frame_columns(shared, rows):
    mounts, samples = shared
    kept = [(row, *mounts[row['calibrated_sensor_token']]) for row in rows]
    kept = [entry for entry in kept if entry[2] >= 0 and (entry[3] or entry[0]['is_key_frame'])]
    rows = [entry[0] for entry in kept]
    return dict(
        token=_texts(rows, 'token'),
        filename=_texts(rows, 'filename'),
        timestamp=np.array([row['timestamp'] for row in rows], dtype=np.int64),
        channel=np.array([entry[2] for entry in kept], dtype=np.int32),
        sample=np.array([samples[row['sample_token']] for row in rows], dtype=np.int32),
        mount=np.array([entry[1] for entry in kept], dtype=np.int32),
        pose=_texts(rows, 'ego_pose_token'),
        previous=_texts(rows, 'prev'),
        is_key=np.array([row['is_key_frame'] for row in rows], dtype=bool),
    )


def _pose_columns(_, rows):
    return dict(
        token=_texts(rows, 'token'),
        translation=_numbers(rows, 'translation', 3),
        rotation=_numbers(rows, 'rotation', 4),
    )


def _annotation_columns(shared, rows):
    samples, instances = shared
    return dict(
        token=_texts(rows, 'token'),
        sample=np.array([samples[row['sample_token']] for row in rows], dtype=np.int32),
        instance=np.array([instances[row['instance_token']] for row in rows], dtype=np.int32),
        translation=_numbers(rows, 'translation', 3),
        size=_numbers(rows, 'size', 3),
        rotation=_numbers(rows, 'rotation', 4),
        previous=_texts(rows, 'prev'),
        following=_texts(rows, 'next'),
        num_lidar_pts=np.array([row['num_lidar_pts'] for row in rows], dtype=np.int64),
        num_radar_pts=np.array([row['num_radar_pts'] for row in rows], dtype=np.int64),
    )
