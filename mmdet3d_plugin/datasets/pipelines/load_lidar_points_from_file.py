"""The keyframe's LiDAR points."""

from mmdet3d.datasets.builder import PIPELINES
from mmdet3d.datasets.pipelines import LoadPointsFromFile

from ..lidar_file import NUMBERS_PER_POINT, read_lidar


@PIPELINES.register_module()
class LoadLidarPointsFromFile(LoadPointsFromFile):
    """mmdet3d's LoadPointsFromFile for nuScenes files, which names a file that is damaged or has another layout.

    mmdet3d's takes any numbers for points of five: a file of four numbers a point gives other points.

    Reads: ``pts_filename``.

    Writes, each (LiDARPoints): (N, 5) float32, x, y, z (m, keyframe's LiDAR frame), intensity, ring:
        lidar_points: the keyframe as the LiDAR measured it. No later step changes it; PointsToDepthMap reads it.
        points: a copy, the start of what a LiDAR model or a teacher sees. Sweeps, pasted objects and the BEV
            augmentation change it.

    Raises:
        FileNotFoundError, LidarFileError: see ``lidar_file.py``.
    """

    reads_lidar = True

    def __init__(self):
        super().__init__(coord_type='LIDAR', load_dim=NUMBERS_PER_POINT, use_dim=NUMBERS_PER_POINT)

    def __call__(self, results):
        results = super().__call__(results)
        results['lidar_points'] = results['points'].clone()  # mmdet3d's sweep loader writes into `points`
        return results

    def _load_points(self, pts_filename):
        return read_lidar(pts_filename)
