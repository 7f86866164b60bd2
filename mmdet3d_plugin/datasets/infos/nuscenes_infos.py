"""Base infos: one dict per keyframe with LiDAR, sweeps, cameras and boxes, from the nuScenes tables."""

import functools
from collections import Counter
from dataclasses import dataclass, field

from dualdistill_runtime.poses import invert_pose

from ..packed_infos import PackedInfos
from .cameras import CAMERAS, LIDAR
from .columns import as_columns
from .parallel import iterate_with_tables
from .scene_boxes import boxes_of_samples
from .sensor_records import RecordMaker, sensors_to_global

_NAMED_FILES = 5


@dataclass
class SceneInfos:
    """Infos of one scene, or of several added up, and what was wrong with the files."""

    infos: PackedInfos = field(default_factory=PackedInfos)
    missing_samples: list = field(default_factory=list)  # keyframe files, relative to the data root
    missing_sweeps: int = 0  # LiDAR sweep files, counted once per info that would have used them
    absent_scenes: list = field(default_factory=list)  # names of scenes without a single keyframe file
    categories: Counter = field(default_factory=Counter)  # annotated boxes of each category


def scene_infos(tables, scene, max_sweeps=10, cameras=CAMERAS, class_map=None):
    """Infos of one scene; a scene of which no keyframe file is there counts as not downloaded.

    Returns:
        SceneInfos: With ``infos`` only for a scene whose keyframe files are all there.
    """
    frames = tables.frames([LIDAR], cameras)
    samples = tables.samples_of(scene)
    keyframes = frames.keyframe[samples]
    _check_keyframes(tables, frames, samples, keyframes)
    records = RecordMaker(tables, frames)
    missing = [records.path(row) for row in keyframes.ravel().tolist() if not records.exists(row)]
    if missing and len(missing) == keyframes.size:
        return SceneInfos(absent_scenes=[scene['name']])
    if missing:
        return SceneInfos(missing_samples=missing)
    lidar_to_global = sensors_to_global(tables, frames, keyframes[:, 0])
    boxes, categories = boxes_of_samples(tables, samples, lidar_to_global, class_map)
    result, infos = SceneInfos(categories=categories), []
    looked_at = frames.before(keyframes[:, 0], max_sweeps)
    for sample, rows, before, pose, annotations in zip(samples, keyframes, looked_at, lidar_to_global, boxes):
        sweeps = [row for row in before.tolist() if row >= 0]
        present = [row for row in sweeps if records.exists(row)]
        result.missing_sweeps += len(sweeps) - len(present)
        infos.append(_info(tables.sample[sample], scene, records, rows, present, cameras, pose, annotations))
    result.infos = PackedInfos(infos)
    return result


def _check_keyframes(tables, frames, samples, keyframes):
    """Raise ValueError unless each sample has a keyframe of each channel."""
    for sample, rows in zip(samples, keyframes):
        absent = [channel for channel, row in zip(frames.channels, rows) if row < 0]
        if absent:
            token = tables.sample[sample]['token']
            raise ValueError(f'sample {token} has no keyframe of {", ".join(absent)} in the nuScenes tables')


def _info(sample, scene, records, keyframes, sweeps, cameras, lidar_to_global, annotations):
    """dict: Info of one keyframe; ``keyframes`` are rows of the LiDAR's frame and the cameras', ``sweeps`` rows."""
    key, *rest = keyframes.tolist()
    lidar, rows = records.make(key), [*sweeps, *rest]
    to_lidar = invert_pose(lidar_to_global) @ records.to_global(rows)
    posed = [
        dict(records.make(row), sensor2lidar_rotation=pose[:3, :3], sensor2lidar_translation=pose[:3, 3])
        for row, pose in zip(rows, to_lidar)
    ]
    return dict(
        token=sample['token'],
        scene_token=sample['scene_token'],
        scene_name=scene['name'],
        timestamp=sample['timestamp'],
        lidar_path=lidar['data_path'],
        sweeps=posed[: len(sweeps)],
        cams=dict(zip(cameras, posed[len(sweeps) :])),
        lidar2ego_translation=lidar['sensor2ego_translation'],
        lidar2ego_rotation=lidar['sensor2ego_rotation'],
        ego2global_translation=lidar['ego2global_translation'],
        ego2global_rotation=lidar['ego2global_rotation'],
        **annotations,
    )


def build_infos(nusc, scenes, max_sweeps=10, workers=1, cameras=CAMERAS, class_map=None):
    """Infos of several scenes.

    Args:
        nusc (TableColumns | NuScenes): Tables; of the devkit's only data root and version are used.
        scenes (list[dict]): Scene records.
        max_sweeps (int): LiDAR sweeps to look back at most.
        workers (int): Processes; the infos are the same to the byte.
        cameras (Sequence[str]): Cameras of the infos, in this order.
        class_map (dict[str, str], optional): See :func:`categories.detection_class`.

    Returns:
        SceneInfos: All scenes added up.

    Raises:
        FileNotFoundError: Files of some keyframes are missing, or the files of all scenes; the message names them.
        ValueError: The tables do not fit each other, or a sample has no keyframe of a camera or of the LiDAR.
    """
    tables = as_columns(nusc)
    tables.frames([LIDAR], cameras)  # read here once, not in each worker
    tables.annotations  # noqa: B018
    total, parts = SceneInfos(), []
    work = functools.partial(scene_infos, max_sweeps=max_sweeps, cameras=cameras, class_map=class_map)
    for part in iterate_with_tables(work, scenes, tables, workers):
        parts.append(part.infos)
        total.missing_samples += part.missing_samples
        total.missing_sweeps += part.missing_sweeps
        total.absent_scenes += part.absent_scenes
        total.categories += part.categories
    if total.missing_samples:
        names = ', '.join(total.missing_samples[:_NAMED_FILES])
        more = len(total.missing_samples) - _NAMED_FILES
        raise FileNotFoundError(
            f'{tables.dataroot}: {len(total.missing_samples)} keyframe file(s) are missing: {names}'
            + (f' and {more} more' if more > 0 else '')
            + '. Download them again, or remove all keyframe files of a scene to leave the scene out.'
        )
    total.infos = PackedInfos.joined(parts)
    if scenes and not len(total.infos):
        raise FileNotFoundError(
            f'{tables.dataroot}: no keyframe file of any of the {len(scenes)} scene(s) is there '
            f'(looked for those of {LIDAR} and {", ".join(cameras)}): is this the data root?'
        )
    return total
