"""The keyframe's points with painted and virtual ones."""

from mmdet3d.datasets.builder import PIPELINES
from mmdet3d.datasets.pipelines import LoadPointsFromFile

from ...structures.virtual_points import POINT_COLUMNS
from ..lidar_file import read_lidar
from ..virtual_point_files.point_layout import add_virtual_points


@PIPELINES.register_module()
class LoadVirtualPointsFromFile(LoadPointsFromFile):
    """mmdet3d's LoadPointsFromFile that adds the sweep's virtual points, see ``structures/virtual_points.py``.

    Reads ``pts_filename`` and the file of virtual points beside it. Writes ``points`` (LiDARPoints), (N, 17) float32;
    raw points only, in the same layout, when there is no such file.

    Raises:
        FileNotFoundError, LidarFileError: see ``lidar_file.py``.
        VirtualFileError: the file of virtual points is damaged.
    """

    reads_lidar = reads_virtual_points = True

    def __init__(self):
        super().__init__(coord_type='LIDAR', load_dim=POINT_COLUMNS, use_dim=POINT_COLUMNS)

    def _load_points(self, pts_filename):
        return add_virtual_points(read_lidar(pts_filename), pts_filename)
