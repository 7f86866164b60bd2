"""Earlier sweeps with painted and virtual points."""

from mmdet3d.datasets.builder import PIPELINES
from mmdet3d.datasets.pipelines import LoadPointsFromMultiSweeps

from ...structures.virtual_points import POINT_COLUMNS, TIME_COLUMN
from ..lidar_file import read_lidar
from ..virtual_point_files.point_layout import add_virtual_points


@PIPELINES.register_module()
class LoadVirtualPointsFromMultiSweeps(LoadPointsFromMultiSweeps):
    """mmdet3d's LoadPointsFromMultiSweeps for the layout of :class:`LoadVirtualPointsFromFile`.

    Each sweep's virtual points move with it into the keyframe's LiDAR frame and have its age as dt.

    Reads ``points`` ((N, 17), the keyframe's), ``sweeps`` and ``timestamp``. Writes ``points``: keyframe first, dt in
    the last column.

    Args:
        sweeps_num (int): sweeps beside the keyframe.
        pad_empty_sweeps (bool): repeat the keyframe when there are no sweeps.
        remove_close (bool): drop sweep points within 1 m of the sensor in x and y.
        test_mode (bool): the nearest sweeps; else any.
    """

    reads_virtual_points = True

    def __init__(self, sweeps_num=9, pad_empty_sweeps=True, remove_close=True, test_mode=False):
        super().__init__(
            sweeps_num=sweeps_num,
            load_dim=POINT_COLUMNS,
            use_dim=list(range(POINT_COLUMNS)),
            time_dim=TIME_COLUMN,
            pad_empty_sweeps=pad_empty_sweeps,
            remove_close=remove_close,
            test_mode=test_mode,
        )

    def _load_points(self, pts_filename):
        return add_virtual_points(read_lidar(pts_filename), pts_filename)
