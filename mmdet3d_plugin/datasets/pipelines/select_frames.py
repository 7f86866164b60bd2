"""What all choices of frames share: where every camera of every frame stood, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dualdistill_runtime.cameras import LONE_FRAME_DT, NUSCENES_CAMERAS, camera_order, reference_camera, reference_pose
from dualdistill_runtime.poses import invert_pose, sensor_to_global


class Frame(NamedTuple):
    """The cameras of one moment.

    Attributes:
        cams (dict[str, dict]): camera records by name.
        to_global (ndarray): (4, 4) float64, the frame's reference (a LiDAR frame) -> global.
    """

    cams: dict
    to_global: np.ndarray


class SelectFrames:
    """Base of the steps that choose the F frames of a sample: the current one first, then earlier ones, newest first.

    A subclass chooses the earlier frames and hands them to :meth:`write_frames`. The reference of the current frame is
    LIDAR_TOP at the keyframe; a subclass says what an earlier frame's is. Every camera is placed by the ego pose of its
    own exposure.

    Reads: ``cams``, ``lidar2ego``, ``ego2global`` ((4, 4), current frame), ``sample_idx`` and, if there, the data set's
    ``cameras`` (else they are nuScenes' six).

    Writes:
        frames (list): F lists of N camera records in the order of ``cameras``.
        frame_dt (float): seconds between the exposures of the reference camera in frames 1 and 0; 1/12 where there is
            no earlier frame.
        intrins (ndarray): (F, N, 3, 3) float64, px of the original image.
        cam2lidar (ndarray): (F, N, 4, 4) float64, camera -> reference of its own frame.
        frame2cur (ndarray): (F, 4, 4) float64, reference of frame f -> reference of the current frame.

    Attributes:
        earlier_keyframes (int): how many earlier keyframes of the same scene the data set shall hand over, see
            :meth:`NuScenesBEVDataset.get_data_info`.

    Args:
        cameras (Sequence[str], optional): camera names in the order of the N axis; None takes all of the data
            set, see :func:`camera_order`.
        reference_camera (str, optional): the camera that gives a frame its time; None takes CAM_FRONT, or the data
            set's first one where there is none.

    Raises:
        KeyError: a camera is missing from the infos.
        ValueError: an earlier frame is not older than the current one.
    """

    earlier_keyframes = 0

    def __init__(self, cameras: Sequence[str] | None = None, reference_camera: str | None = None):
        self.cameras = None if cameras is None else (cameras,) if isinstance(cameras, str) else tuple(cameras)
        if self.cameras is not None and not 0 < len(self.cameras) == len(set(self.cameras)):
            raise ValueError(f'cameras must name at least one camera, and each once, got {list(self.cameras)}')
        self.reference_camera = reference_camera

    @property
    def wanted_cameras(self) -> tuple[str, ...]:
        """Cameras that an info file must have."""
        return (*(self.cameras or ()), *([self.reference_camera] if self.reference_camera else []))

    def write_frames(self, results: dict, earlier: Sequence[Frame | None]) -> dict:
        """Write what the class promises for the current frame and the earlier ones.

        Args:
            results (dict): the sample.
            earlier (Sequence[Frame | None]): F - 1 frames, newest first; None repeats the current frame.
        """
        token = results['sample_idx']
        names = self.cameras or camera_order(results.get('cameras', NUSCENES_CAMERAS))
        current = Frame(results['cams'], reference_pose(results))
        frames = [current, *(current if frame is None else frame for frame in earlier)]
        records = [[_camera(frame.cams, name, token) for name in names] for frame in frames]
        rigs = [_camera_rig(cameras, frame.to_global) for cameras, frame in zip(records, frames)]
        global2current = invert_pose(current.to_global)
        motions = [np.eye(4) if frame is current else global2current @ frame.to_global for frame in frames]
        results['frames'] = records
        results['frame_dt'] = self._frame_dt(results, frames)
        results['intrins'] = np.stack([intrinsics for intrinsics, _ in rigs])
        results['cam2lidar'] = np.stack([cam2lidar for _, cam2lidar in rigs])
        results['frame2cur'] = np.stack(motions)
        return results

    def reference_record(self, results: dict, cams: dict) -> dict:
        """Record of the reference camera among the cameras ``cams`` of a frame."""
        name = self.reference_camera or reference_camera(results.get('cameras', NUSCENES_CAMERAS))
        return _camera(cams, name, results['sample_idx'])

    def _frame_dt(self, results, frames):
        """Seconds between the exposures of frames 1 and 0; every earlier frame is made sure to be earlier."""
        now, ages = self.reference_record(results, frames[0].cams), []
        for frame in frames[1:]:
            if frame is frames[0]:
                continue
            then = self.reference_record(results, frame.cams)
            ages.append((now['timestamp'] - then['timestamp']) / 1e6)
            if ages[-1] <= 0:
                raise ValueError(
                    f'sample {results["sample_idx"]}: the previous frame {then["data_path"]} ({then["timestamp"]} us) '
                    f'is not older than the current one ({now["timestamp"]} us); make the info file again'
                )
        return ages[0] if ages else LONE_FRAME_DT


def _camera(cams, name, token):
    if name not in cams:
        raise KeyError(f'sample {token} has no camera {name!r}; it has {sorted(cams)}')
    return cams[name]


def _camera_rig(cameras, reference2global):
    """Intrinsics (N, 3, 3) and camera -> reference (N, 4, 4) of N camera records, float64."""
    global2reference = invert_pose(reference2global)
    intrinsics = np.stack([np.asarray(camera['cam_intrinsic'], dtype=np.float64) for camera in cameras])
    return intrinsics, np.stack([global2reference @ sensor_to_global(camera) for camera in cameras])
