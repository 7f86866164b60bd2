"""What a data set wants to know of all infos before it reads any: order, poses of the car, classes of the objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

NEEDED_KEYS = (
    'token', 'scene_token', 'timestamp', 'ego2global_translation', 'ego2global_rotation', 'gt_names', 'num_lidar_pts',
    'valid_flag',
)  # fmt: skip
COUNTS = ('all', 'lidar', 'valid')  # objects: all, those with a LiDAR point, those with a LiDAR or radar point


@dataclass(frozen=True)
class InfoColumns:
    """Columns of N infos.

    Attributes:
        token: (N,) bytes.
        scene: (N,) int32 place in ``scene_tokens`` and ``scene_names`` (which are None in files that do not tell).
        timestamp: (N,) int64 us.
        translation, rotation: (N, 3) m and (N, 4) quaternions (w, x, y, z), ego to global.
        names: C names of objects, sorted.
        counts: (N, C, 3) int32 objects of each name, see ``COUNTS``.
    """

    token: np.ndarray
    scene: np.ndarray
    scene_tokens: list
    scene_names: list
    timestamp: np.ndarray
    translation: np.ndarray
    rotation: np.ndarray
    names: list
    counts: np.ndarray

    @classmethod
    def of(cls, infos: Sequence[dict]) -> InfoColumns | None:
        """Columns of infos; None when one of them lacks a key that is needed."""
        if not all(key in info for info in infos for key in NEEDED_KEYS):
            return None
        scenes = {info['scene_token']: info.get('scene_name') for info in infos}
        number = {token: index for index, token in enumerate(scenes)}
        names = sorted({name for info in infos for name in info['gt_names'].tolist()})
        return cls(
            token=np.array([info['token'].encode() for info in infos], dtype=bytes),
            scene=np.array([number[info['scene_token']] for info in infos], dtype=np.int32),
            scene_tokens=list(scenes),
            scene_names=list(scenes.values()),
            timestamp=np.array([info['timestamp'] for info in infos], dtype=np.int64),
            translation=_numbers(infos, 'ego2global_translation', 3),
            rotation=_numbers(infos, 'ego2global_rotation', 4),
            names=names,
            counts=_counts(infos, names),
        )

    @classmethod
    def joined(cls, parts: Sequence[InfoColumns | None]) -> InfoColumns | None:
        """Columns of several lists of infos, one after the other."""
        if not all(parts):
            return None
        scenes = {token: name for part in parts for token, name in zip(part.scene_tokens, part.scene_names)}
        number = {token: index for index, token in enumerate(scenes)}
        names = sorted({name for part in parts for name in part.names})
        arrays = {
            key: np.concatenate([getattr(part, key) for part in (*parts, cls.of([]))])
            for key in ('token', 'timestamp', 'translation', 'rotation')
        }
        scene = [np.array([number[token] for token in part.scene_tokens], np.int32)[part.scene] for part in parts]
        counts = [np.zeros((len(part.token), len(names), len(COUNTS)), np.int32) for part in parts]
        for part, count in zip(parts, counts):
            count[:, [names.index(name) for name in part.names]] = part.counts
        return cls(
            scene=np.concatenate([*scene, np.zeros(0, np.int32)]),
            scene_tokens=list(scenes),
            scene_names=list(scenes.values()),
            names=names,
            counts=np.concatenate([*counts, np.zeros((0, len(names), len(COUNTS)), np.int32)]),
            **arrays,
        )

    def take(self, indices: np.ndarray) -> InfoColumns:
        """Columns of some infos; scenes and names stay."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return InfoColumns(**{k: v[indices] if isinstance(v, np.ndarray) else v for k, v in values.items()})

    def rows_of_scenes(self) -> list[np.ndarray]:
        """Indices of the infos of each scene, scenes in order of their first info."""
        order = np.argsort(self.scene, kind='stable')
        groups = np.split(order, np.flatnonzero(np.diff(self.scene[order])) + 1) if len(order) else []
        return sorted(groups, key=lambda rows: rows[0])


def _numbers(infos, key, width):
    return np.array([info[key] for info in infos], dtype=np.float64).reshape(len(infos), width)


def _counts(infos, names):
    counts = np.zeros((len(infos), len(names), len(COUNTS)), dtype=np.int32)
    number = {name: index for index, name in enumerate(names)}
    for row, info in zip(counts, infos):
        columns = [number[name] for name in info['gt_names'].tolist()]
        ones = np.ones(len(columns), dtype=np.int32)
        np.add.at(row, columns, np.stack([ones, info['num_lidar_pts'] > 0, info['valid_flag']], axis=1))
    return counts
