"""The motion vector of each frame, which BEVFormer's authors call ``can_bus``."""

import numpy as np

from .can_bus import has_can_bus, motion_at
from .ego_motion import MOTION_NUMBERS, yaw_of
from .poses import quaternion_of

_SOURCES = ('can', 'poses', 'zeros')
_QUATERNIONS = ('full', 'w')


class MotionVector:
    """Writes 18 numbers about the car's motion for each of the F frames that a step before has chosen.

    =====  =================================================================================================
    index  content
    =====  =================================================================================================
    0:3    translation since the frame before, m, global axes; 0 without a frame before
    3:7    ego -> global quaternion (w, x, y, z)
    7:10   acceleration, ego frame, with gravity, m/s^2
    10:13  angular rates, ego frame, rad/s
    13:16  velocity, ego frame, m/s
    16     yaw, counter-clockwise about global z, in [0, 2 pi), rad
    17     yaw since the frame before, **degrees**; 0 without a frame before
    =====  =================================================================================================

    The frame before is the next one of the queue: the current frame comes first, then newest to oldest.

    Reads: ``frame_times`` (F,) s, ``ego2global`` (F, 4, 4), ``has_prev`` (F,) bool, ``scene_poses``
    (:class:`ScenePoses` of the current frame's scene) and, for ``motion_source='can'``, ``data_root``.

    Writes:
        can_bus (ndarray): (F, 18) float64.
        motion_source (list): where 7:16 of each frame come from: 'can', 'poses' or 'zeros'.

    Args:
        motion_source (str): where 7:16 come from. ``can``: nuScenes' CAN bus expansion, or poses in scenes that it does
            not have. ``poses``: differences between keyframes, see :func:`motion_from_poses`. ``zeros``: nowhere. A
            frame of another scene than the current one has zeros: its map is never used.
        quaternion (str): ``full``, with w >= 0; or ``w``: all four slots hold w, with the sign of the tables, as
            published weights have seen it (a slip of the released code).
        wrap_yaw (bool): number 17 in (-180, 180]. Published weights have seen the difference of two angles in [0, 360),
            which is off by 360 where the heading crosses the global x axis.

    Raises:
        FileNotFoundError: ``can`` without a folder of CAN bus files.
        ValueError: ``can`` with infos that have no scene names, or with a damaged file.
    """

    def __init__(self, motion_source='can', quaternion='full', wrap_yaw=True):
        if motion_source not in _SOURCES:
            raise ValueError(f'motion_source must be one of {", ".join(_SOURCES)}, got {motion_source!r}')
        if quaternion not in _QUATERNIONS:
            raise ValueError(f'quaternion must be one of {", ".join(_QUATERNIONS)}, got {quaternion!r}')
        self.motion_source, self.quaternion, self.wrap_yaw = motion_source, quaternion, wrap_yaw

    @property
    def reads_can_bus(self):
        """Whether CAN bus files are wanted."""
        return self.motion_source == 'can'

    def __call__(self, results):
        poses = np.asarray(results['ego2global'], dtype=np.float64)
        scene = results['scene_poses']
        places = [scene.find(time) for time in results['frame_times']]
        vector = np.zeros((len(poses), 18))
        vector[:, 3:7] = [self._quaternion(pose, scene, place) for pose, place in zip(poses, places)]
        source = self._source(results)
        sources = ['zeros' if place is None else source for place in places]
        for row, *frame in zip(vector, results['frame_times'], places, sources):
            row[7:16] = self._motion(results, *frame)
        yaw = yaw_of(poses) % (2 * np.pi)
        vector[:, 16] = yaw
        follows = np.asarray(results['has_prev'], dtype=bool)[:-1]
        vector[:-1, 0:3] = np.where(follows[:, None], poses[:-1, :3, 3] - poses[1:, :3, 3], 0)
        vector[:-1, 17] = np.where(follows, self._turn(np.degrees(yaw[:-1]) - np.degrees(yaw[1:])), 0)
        results['can_bus'] = vector
        results['motion_source'] = sources
        return results

    def _quaternion(self, pose, scene, place):
        if self.quaternion == 'w' and place is not None:
            return np.full(4, scene.quaternions[place, 0])
        found = quaternion_of(pose[:3, :3])
        return found if self.quaternion == 'full' else np.full(4, found[0])

    def _source(self, results):
        """Where the scene's numbers come from."""
        if self.reads_can_bus and not has_can_bus(results['data_root'], results['scene_poses'].name):
            return 'poses'
        return self.motion_source

    @staticmethod
    def _motion(results, time, place, source):
        """(9,) numbers of one frame."""
        scene = results['scene_poses']
        if source == 'zeros':
            return np.zeros(MOTION_NUMBERS)
        return motion_at(results['data_root'], scene.name, time) if source == 'can' else scene.motion()[place]

    def _turn(self, degrees):
        return -((180 - degrees) % 360 - 180) if self.wrap_yaw else degrees

    def __repr__(self):
        return (
            f'{type(self).__name__}(motion_source={self.motion_source!r}, quaternion={self.quaternion!r}, '
            f'wrap_yaw={self.wrap_yaw})'
        )
