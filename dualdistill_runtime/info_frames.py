"""Info files of a nuScenes-format set -> the moments that an exported student wants to see."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .cameras import reference_camera, reference_pose
from .ego_motion import ScenePoses
from .frame import Frame
from .motion_vector import MotionVector
from .poses import pose_matrix, sensor_to_global
from .scene_order import scene_order

SCHEMA = 'dualdistill-nuscenes/2'
_FILES = dict(adjacent='nuscenes_infos_{}_4d_interval3_max60.pkl', keyframes='nuscenes_infos_{}.pkl')


def info_file(data_root: str | Path, split: str, facts: Mapping[str, Any]) -> Path:
    """Where the data tools put the infos of a split that a student wants, by what its file says."""
    return Path(data_root) / _FILES[facts['frames']['kind']].format(split)


class Sample(NamedTuple):
    """A sample of a set: its info, the moment to detect in, and one to look at before (None where there is none)."""

    info: Mapping[str, Any]
    current: Frame
    earlier: Frame | None


class InfoFile:
    """Samples of an info file, scene after scene in order of time. The file is a pickle: read your own ones alone.

    Args:
        path: Info file of ``tools/create_data.py`` or ``prepare_nuscenes_for_bevdet4d.py``.
        data_root: Folder that its paths are relative to.
        facts: Of the student's file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no info file of this project's present schema, or lacks the earlier frames that are wanted.
    """

    def __init__(self, path: str | Path, data_root: str | Path, facts: Mapping[str, Any]) -> None:
        self.path, self._root, self._facts = path, str(data_root), facts
        infos, self.metadata = _read(path)
        scenes = [info['scene_token'] for info in infos]
        self.infos = [infos[index] for index in scene_order(scenes, [info['timestamp'] for info in infos])]
        if facts['frames']['kind'] == 'adjacent' and self.infos and 'prev' not in self.infos[0]:
            raise ValueError(
                f'{path}: no earlier camera frames (`prev`), which this student looks at: give a 4-D info file'
            )
        names = self.metadata.get('cameras') or list(self.infos[0]['cams'])
        self._reference = facts['frames']['reference_camera'] or reference_camera(names)
        self._poses = _scene_poses(self.infos)
        self._motion = MotionVector(**facts['motion']) if facts.get('motion') else None

    def __len__(self) -> int:
        return len(self.infos)

    def __iter__(self) -> Iterator[Sample]:
        for info in self.infos:
            if self._facts['frames']['kind'] == 'adjacent':
                yield self._adjacent(info)
            else:
                yield Sample(info, self._keyframe(info), None)

    def _keyframe(self, info):
        """The moment of a keyframe, as its LiDAR's time has it."""
        ego2global, lidar2global = _poses_of(info)
        time, motion = info['timestamp'] / 1e6, None
        if self._motion is not None:
            asked = dict(frame_times=[time], ego2global=ego2global[None], has_prev=[False], data_root=self._root)
            motion = self._motion(dict(asked, scene_poses=self._poses[info['scene_token']]))['can_bus'][0]
        return self._frame(info, info['cams'], lidar2global, time, ego2global, motion)

    def _adjacent(self, info):
        """The keyframe and an earlier camera frame, both timed by the reference camera."""
        current = self._at_camera(info, info['cams'], _poses_of(info)[1])
        if not info['prev']:
            return Sample(info, current, None)
        cams = info['prev'][min(self._facts['frames']['test_index'], len(info['prev']) - 1)]['cams']
        record = cams[self._reference]
        lidar2ego = pose_matrix(info['lidar2ego_translation'], info['lidar2ego_rotation'])
        ego2global = pose_matrix(record['ego2global_translation'], record['ego2global_rotation'])
        return Sample(info, current, self._at_camera(info, cams, ego2global @ lidar2ego))

    def _at_camera(self, info, cams, lidar2global):
        return self._frame(info, cams, lidar2global, cams[self._reference]['timestamp'] / 1e6)

    def _frame(self, info, cams, lidar2global, time, ego2global=None, motion=None):
        cameras = self._facts['cameras']
        absent = [name for name in cameras if name not in cams]
        if absent:
            raise ValueError(f'{self.path}: sample {info["token"]} has no camera {", ".join(absent)}')
        return Frame(
            images={name: os.path.join(self._root, cams[name]['data_path']) for name in cameras},
            intrinsics={name: cams[name]['cam_intrinsic'] for name in cameras},
            camera2global={name: sensor_to_global(cams[name]) for name in cameras},
            lidar2global=lidar2global,
            timestamp=time,
            scene=info['scene_token'],
            ego2global=ego2global,
            motion=motion,
            token=info['token'],
        )


def _read(path):
    if not os.path.isfile(path):
        raise FileNotFoundError(f'no info file {path}; tools/create_data.py makes it')
    with open(path, 'rb') as stream:
        data = pickle.load(stream)
    metadata = data.get('metadata', {}) if isinstance(data, dict) else {}
    if metadata.get('schema') != SCHEMA:
        raise ValueError(
            f'{path}: expected infos of schema {SCHEMA!r}, found {metadata.get("schema")!r}: make them anew'
        )
    if not data['infos']:
        raise ValueError(f'{path} holds no samples')
    return data['infos'], metadata


def _poses_of(info):
    """``ego2global`` and ``lidar2global`` of a keyframe."""
    ego2global = pose_matrix(info['ego2global_translation'], info['ego2global_rotation'])
    lidar2ego = pose_matrix(info['lidar2ego_translation'], info['lidar2ego_rotation'])
    return ego2global, reference_pose(dict(ego2global=ego2global, lidar2ego=lidar2ego))


def _scene_poses(infos):
    """Poses of the car at the keyframes of each scene, by its token; the infos are in order of time."""
    scenes: dict[str, list] = {}
    for info in infos:
        scenes.setdefault(info['scene_token'], []).append(info)
    return {
        token: ScenePoses(
            name=members[0].get('scene_name'),
            times=np.array([info['timestamp'] for info in members], dtype=np.int64),
            ego2global=np.stack([_poses_of(info)[0] for info in members]),
            quaternions=np.array([info['ego2global_rotation'] for info in members], dtype=np.float64),
        )
        for token, members in scenes.items()
    }
