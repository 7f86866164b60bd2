"""4-D infos: base infos plus the camera frames before each keyframe."""

import functools
from dataclasses import dataclass, field

import numpy as np

from dualdistill_runtime.cameras import reference_camera

from ..packed_infos import PackedInfos
from .columns import as_columns
from .parallel import iterate_with_tables
from .sensor_records import RecordMaker

# Cameras fire up to half a turn of the LiDAR apart; an image further off than this shows another moment.
MAX_CAMERA_SKEW = 0.15  # s
_NEVER = np.iinfo(np.int64).max


@dataclass
class SequentialInfos:
    """4-D infos of one scene, or of several added up."""

    infos: PackedInfos = field(default_factory=PackedInfos)
    frames: int = 0  # entries in all `prev` lists
    missing_frames: int = 0  # entries left out because a camera's file is missing or no image is near in time


def earlier_frames(frames, samples, interval, max_prev):
    """Every ``interval``-th camera frame before some keyframes, inside their scene.

    Frames are counted along the reference camera, CAM_FRONT where there is one; each other camera gives its image
    nearest in time.

    Args:
        frames (Frames): Of the cameras.
        samples (np.ndarray): (K,) rows of the sample table.
        interval (int): Step, in camera sweeps.
        max_prev (int): Furthest frame, in camera sweeps.

    Returns:
        tuple[np.ndarray, np.ndarray]: (K, F) rows of the reference camera's frames, nearest first, -1 behind the last;
        and (K, F, cameras) rows of all cameras' images, -1 where none is near in time.
    """
    reference_name = reference_camera(frames.channels)
    starts = frames.keyframe[samples]
    number = frames.channels.index(reference_name)
    reference = frames.before(starts[:, number], max_prev)[:, interval - 1 :: interval]
    # One step more than the reference: another camera's nearest image may lie just behind.
    chains = [frames.before(starts[:, camera], max_prev + (camera != number)) for camera in range(len(frames.channels))]
    images = [_nearest(frames.timestamp, reference, chain) for chain in chains]
    return reference, np.stack(images, axis=-1)


def _nearest(times, reference, chain):
    """(K, F) rows of ``chain`` (K, L) nearest in time to rows ``reference`` (K, F); -1 where none is near."""
    distance = np.abs(times[chain][:, None] - times[reference][:, :, None])
    distance = np.where((chain[:, None] >= 0) & (reference[:, :, None] >= 0), distance, _NEVER)
    nearest = distance.argmin(axis=-1)
    near = np.take_along_axis(distance, nearest[..., None], axis=-1)[..., 0] <= MAX_CAMERA_SKEW * 1e6
    return np.where(near, np.take_along_axis(chain, nearest, axis=1), -1)


def scene_infos_4d(shared, rows, interval=3, max_prev=60):
    """4-D infos of one scene, with the cameras of its base infos.

    Args:
        shared (tuple): Tables (TableColumns), frames of the cameras (Frames), base infos (PackedInfos).
        rows (np.ndarray): Which of the base infos; all are of one scene.
        interval (int): Step between frames, in camera sweeps.
        max_prev (int): Furthest frame, in camera sweeps.

    Returns:
        SequentialInfos: Same order as ``rows``.
    """
    tables, frames, base = shared
    infos = [base[row] for row in rows]
    samples = np.array([tables.row('sample', info['token']) for info in infos])
    records, result, sequential = RecordMaker(tables, frames), SequentialInfos(), []
    references, images = earlier_frames(frames, samples, interval, max_prev)
    wanted = np.unique(images[(images >= 0).all(axis=-1)]).tolist()
    present = np.array([row for row in wanted if records.exists(row)], dtype=np.int64)
    complete = np.isin(images, present).all(axis=-1)
    times = frames.timestamp[references].tolist()
    for info, rows_of_frames, whole, stamps in zip(infos, images.tolist(), complete.tolist(), times):
        previous = [
            dict(timestamp=stamp, cams=dict(zip(frames.channels, map(records.make, cameras))))
            for cameras, stamp, is_whole in zip(rows_of_frames, stamps, whole)
            if is_whole
        ]
        sequential.append(dict(info, prev=previous))
    result.frames = int(complete.sum())
    result.missing_frames = int((references >= 0).sum()) - result.frames
    result.infos = PackedInfos(sequential)
    return result


def build_infos_4d(nusc, infos, interval=3, max_prev=60, workers=1):
    """4-D infos of any number of scenes; see :func:`scene_infos_4d`.

    Args:
        nusc (TableColumns | NuScenes): Tables; of the devkit's only data root and version are used.
        infos (Sequence[dict]): Base infos of one data set, all with the same cameras.
        workers (int): Processes; the infos are the same to the byte.

    Returns:
        SequentialInfos: Infos grouped by scene, scenes in order of their first info.
    """
    base = PackedInfos.of(infos)
    if not len(base):
        return SequentialInfos()
    tables = as_columns(nusc)
    frames = tables.frames(tuple(base[0]['cams']))
    work = functools.partial(scene_infos_4d, interval=interval, max_prev=max_prev)
    total, parts = SequentialInfos(), []
    scenes = base.columns.rows_of_scenes()
    for part in iterate_with_tables(work, scenes, (tables, frames, base), workers):
        parts.append(part.infos)
        total.frames += part.frames
        total.missing_frames += part.missing_frames
    total.infos = PackedInfos.joined(parts)
    return total
