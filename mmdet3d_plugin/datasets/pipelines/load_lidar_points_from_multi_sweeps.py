"""Earlier LiDAR sweeps."""

from mmdet3d.datasets.builder import PIPELINES
from mmdet3d.datasets.pipelines import LoadPointsFromMultiSweeps

from ..lidar_file import NUMBERS_PER_POINT, read_lidar


@PIPELINES.register_module()
class LoadLidarPointsFromMultiSweeps(LoadPointsFromMultiSweeps):
    """mmdet3d's LoadPointsFromMultiSweeps for nuScenes files, see :class:`LoadLidarPointsFromFile`.

    Reads ``points`` ((N, 5), the keyframe's), ``sweeps`` and ``timestamp``. Writes ``points``: keyframe first, dt (s)
    in the last column.

    Args:
        sweeps_num (int): sweeps beside the keyframe.
        pad_empty_sweeps (bool): repeat the keyframe when there are no sweeps.
        remove_close (bool): drop sweep points within 1 m of the sensor in x and y.
        test_mode (bool): the nearest sweeps; else any.

    Raises:
        FileNotFoundError, LidarFileError: see ``lidar_file.py``.
    """

    def __init__(self, sweeps_num=9, pad_empty_sweeps=True, remove_close=True, test_mode=False):
        super().__init__(
            sweeps_num=sweeps_num,
            load_dim=NUMBERS_PER_POINT,
            use_dim=list(range(NUMBERS_PER_POINT)),
            time_dim=NUMBERS_PER_POINT - 1,
            pad_empty_sweeps=pad_empty_sweeps,
            remove_close=remove_close,
            test_mode=test_mode,
        )

    def _load_points(self, pts_filename):
        return read_lidar(pts_filename)
