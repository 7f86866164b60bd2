"""What stands still in real keyframes, placed by the devkit's records, and how far a BEV picture of it is off another.

Nothing here uses the package's own poses.
"""

import numpy as np
import torch
from nuscenes.utils.data_classes import LidarPointCloud
from nuscenes.utils.geometry_utils import points_in_box
from pyquaternion import Quaternion

GROUND = -0.8  # m, LiDAR frame; rings on road and kerb go with the car and say nothing about its motion
ROOF = 3.0  # m; half of all points lie nearer, on the car itself, and "agree" when nothing is moved at all


def keyframes_of(nusc, name='scene-0103'):
    """Sample records of a scene, oldest first."""
    (scene,) = [scene for scene in nusc.scene if scene['name'] == name]
    samples, token = [], scene['first_sample_token']
    while token:
        samples.append(nusc.get('sample', token))
        token = samples[-1]['next']
    return samples


def record_pose(nusc, table, token):
    """(4, 4) float64 of an ``ego_pose`` or ``calibrated_sensor`` record."""
    record = nusc.get(table, token)
    pose = Quaternion(record['rotation']).transformation_matrix
    pose[:3, 3] = record['translation']
    return pose


def lidar_to_global(nusc, sample, at='LIDAR_TOP'):
    """(4, 4) float64, the LiDAR's mount where the car was when the sensor ``at`` fired."""
    lidar, moment = (nusc.get('sample_data', sample['data'][name]) for name in ('LIDAR_TOP', at))
    ego = record_pose(nusc, 'ego_pose', moment['ego_pose_token'])
    return ego @ record_pose(nusc, 'calibrated_sensor', lidar['calibrated_sensor_token'])


def move(pose, points):
    """(M, 3) points moved by a (4, 4) pose."""
    return points @ pose[:3, :3].T + pose[:3, 3]


def standing_points(nusc, sample, reach=24.0):
    """(M, 3) float64 LiDAR points of a keyframe, LiDAR frame, off the road and outside of whatever is annotated, up to
    ``reach`` metres away."""
    path, boxes, _ = nusc.get_sample_data(sample['data']['LIDAR_TOP'])
    points = LidarPointCloud.from_file(path).points[:3].astype(np.float64)
    distance = np.hypot(*points[:2])
    keep = (points[2] > GROUND) & (distance > ROOF) & (distance < reach)
    for box in boxes:
        keep &= ~points_in_box(box, points, wlh_factor=1.5)
    return points.T[keep]


def draw(points, grid):
    """(H, W) float32 map of a BEVGrid, 1 where a cell holds one of the points (M, 3)."""
    picture = torch.zeros(grid.height, grid.width)
    columns = np.floor((points[:, 0] - grid.x_min) / grid.cell_x).astype(int)
    rows = np.floor((points[:, 1] - grid.y_min) / grid.cell_y).astype(int)
    inside = (columns >= 0) & (columns < grid.width) & (rows >= 0) & (rows < grid.height)
    picture[rows[inside], columns[inside]] = 1
    return picture


def offset(picture, target, reach=28):
    """(2,) x, y cells by which ``picture`` (H, W) must move to lie on ``target`` best.

    The maximum of their correlation over whole cells up to ``reach``, refined by a parabola through its neighbours.
    """
    size = [length + reach + 1 for length in picture.shape]  # padded, so that nothing wraps around
    spectra = [torch.fft.rfft2(image.double() - image.double().mean(), s=size) for image in (picture, target)]
    scores = torch.fft.irfft2(spectra[1] * spectra[0].conj(), s=size).roll((reach, reach), dims=(0, 1))
    scores = scores[: 2 * reach + 1, : 2 * reach + 1]
    row, column = divmod(int(scores.argmax()), scores.shape[1])
    row, column = (min(max(place, 1), len(scores) - 2) for place in (row, column))
    along = (scores[row, column - 1 : column + 2], scores[row - 1 : row + 2, column])
    refined = [float((after - before) / 2 / (2 * peak - before - after)) for before, peak, after in along]
    return np.array([column - reach + refined[0], row - reach + refined[1]])
