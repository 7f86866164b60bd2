"""Choice of the previous frame and the geometry of both frames."""

import random

import numpy as np
from mmdet3d.datasets.builder import PIPELINES

from ..infos.cameras import reference_camera
from ..infos.geometry import invert_pose, pose_matrix, sensor_to_global

# A sample without predecessors stands beside itself. The displacement head needs some time between the two: one period
# of nuScenes' 12 Hz cameras.
LONE_FRAME_DT = 1 / 12

NUSCENES_CAMERAS = (
    'CAM_FRONT_LEFT',
    'CAM_FRONT',
    'CAM_FRONT_RIGHT',
    'CAM_BACK_LEFT',
    'CAM_BACK',
    'CAM_BACK_RIGHT',
)


def camera_order(names):
    """Camera names in the order of a batch's N axis: nuScenes' six first, as far as there, then the others as given."""
    return (*(name for name in NUSCENES_CAMERAS if name in names), *(n for n in names if n not in NUSCENES_CAMERAS))


@PIPELINES.register_module()
class SelectAdjacentFrames:
    """Pairs the keyframe with one earlier camera frame and computes where every camera stood, exactly.

    ``prev[i]`` is the i-th earlier camera frame, newest first, 0.25 s apart in the published 4-D infos. Training draws
    an index in [min_index, max_index), testing takes ``test_index``; a shorter list gives its last (oldest) entry, an
    empty one the current frame again, with identity motion.

    The reference of the current frame is LIDAR_TOP at the keyframe. The reference of the previous frame is the LiDAR
    mount at the previous exposure of ``reference_camera``, because camera sweeps have no LiDAR sweep at the same
    moment. Every camera is placed by the ego pose of its own exposure.

    Reads: ``cams``, ``prev``, ``lidar2ego``, ``ego2global`` ((4, 4), current frame), ``sample_idx`` and, if there, the
    data set's ``cameras`` (else they are nuScenes' six).

    Writes:
        frames (list): [current, previous], each a list of N camera records in the order of ``cameras``.
        frame_dt (float): seconds between the two exposures of the reference camera; 1/12 without a previous frame.
        intrins (ndarray): (2, N, 3, 3) float64, px of the original image.
        cam2lidar (ndarray): (2, N, 4, 4) float64, camera -> reference of its own frame.
        frame2cur (ndarray): (2, 4, 4) float64, reference of frame f -> reference of the current frame.

    Args:
        cameras (Sequence[str], optional): camera names in the order of the N axis; None takes all of the data
            set, see :func:`camera_order`.
        min_index, max_index (int): half-open range of the index drawn in training.
        test_index (int): index taken when ``test_mode``.
        reference_camera (str, optional): the camera that gives a previous frame its time and ego pose; None takes
            CAM_FRONT, or the data set's first one where there is none.
        test_mode (bool): take ``test_index`` rather than draw.

    Raises:
        KeyError: a camera is missing from the infos.
        ValueError: the previous frame is not older than the current one.
    """

    def __init__(
        self,
        cameras=None,
        min_index=2,
        max_index=9,
        test_index=5,
        reference_camera=None,
        test_mode=False,
    ):
        if not 0 <= min_index < max_index:
            raise ValueError(f'need 0 <= min_index < max_index, got min_index={min_index}, max_index={max_index}')
        if test_index < 0:
            raise ValueError(f'test_index must not be negative, got {test_index}')
        self.cameras = None if cameras is None else (cameras,) if isinstance(cameras, str) else tuple(cameras)
        if self.cameras is not None and not 0 < len(self.cameras) == len(set(self.cameras)):
            raise ValueError(f'cameras must name at least one camera, and each once, got {list(self.cameras)}')
        self.min_index = min_index
        self.max_index = max_index
        self.test_index = test_index
        self.reference_camera = reference_camera
        self.test_mode = test_mode

    @property
    def wanted_cameras(self):
        """Cameras that an info file must have."""
        return (*(self.cameras or ()), *([self.reference_camera] if self.reference_camera else []))

    def __call__(self, results):
        token = results['sample_idx']
        previous = self._choose(results['prev'])
        current_cams = results['cams']
        of_data_set = results.get('cameras', NUSCENES_CAMERAS)
        cameras = self.cameras or camera_order(of_data_set)
        reference_name = self.reference_camera or reference_camera(of_data_set)
        lidar2ego = np.asarray(results['lidar2ego'], dtype=np.float64)
        current2global = np.asarray(results['ego2global'], dtype=np.float64) @ lidar2ego
        if previous is None:
            previous_cams, previous2global, frame_dt = current_cams, current2global, LONE_FRAME_DT
        else:
            previous_cams = previous['cams']
            reference = self._camera(previous_cams, reference_name, token)
            ego2global = pose_matrix(reference['ego2global_translation'], reference['ego2global_rotation'])
            previous2global = ego2global @ lidar2ego
            frame_dt = self._seconds_between(current_cams, previous_cams, reference_name, token)

        frames = [[self._camera(cams, name, token) for name in cameras] for cams in (current_cams, previous_cams)]
        rigs = [_camera_rig(frame, pose) for frame, pose in zip(frames, (current2global, previous2global))]
        previous2cur = np.eye(4) if previous is None else invert_pose(current2global) @ previous2global
        results['frames'] = frames
        results['frame_dt'] = frame_dt
        results['intrins'] = np.stack([intrinsics for intrinsics, _ in rigs])
        results['cam2lidar'] = np.stack([cam2lidar for _, cam2lidar in rigs])
        results['frame2cur'] = np.stack([np.eye(4), previous2cur])
        return results

    def _choose(self, previous_frames):
        if not previous_frames:
            return None
        index = self.test_index if self.test_mode else random.randrange(self.min_index, self.max_index)
        return previous_frames[min(index, len(previous_frames) - 1)]

    def _seconds_between(self, current_cams, previous_cams, name, token):
        stamps = [self._camera(c, name, token)['timestamp'] for c in (current_cams, previous_cams)]
        seconds = (stamps[0] - stamps[1]) / 1e6
        if seconds <= 0:
            raise ValueError(
                f'sample {token}: the previous {name} frame ({stamps[1]} us) is not older than the '
                f'current one ({stamps[0]} us); make the 4-D infos again'
            )
        return seconds

    @staticmethod
    def _camera(cams, name, token):
        if name not in cams:
            raise KeyError(f'sample {token} has no camera {name!r}; it has {sorted(cams)}')
        return cams[name]

    def __repr__(self):
        return (
            f'{type(self).__name__}(cameras={self.cameras}, min_index={self.min_index}, max_index={self.max_index}, '
            f'test_index={self.test_index}, reference_camera={self.reference_camera!r}, test_mode={self.test_mode})'
        )


def _camera_rig(cameras, reference2global):
    """Intrinsics (N, 3, 3) and camera -> reference (N, 4, 4) of N camera records, float64."""
    global2reference = invert_pose(reference2global)
    intrinsics = np.stack([np.asarray(camera['cam_intrinsic'], dtype=np.float64) for camera in cameras])
    return intrinsics, np.stack([global2reference @ sensor_to_global(camera) for camera in cameras])
