"""Frames of a made-up drive, to draw: the car moves 3 m forward a keyframe, facing along the global y axis."""

import numpy as np

from mmdet3d_plugin.structures.boxes import Boxes
from mmdet3d_plugin.visualization.frame import Frame

RANGE = (-20.0, -20.0, 20.0, 20.0)
# A camera in the LiDAR's place that looks forward (y): x right, y down, z forward of the camera.
FORWARD = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
INTRINSIC = np.array([[100.0, 0, 80], [0, 100.0, 45], [0, 0, 1]])
TURNED = [10.0, 4.0, 1.0, 4.0, 2.0, 2.0, np.pi / 2]  # x, y, z, l, w, h, yaw: faces forward


def boxes(*rows, names=None, scores=None, velocities=None):
    """Boxes of rows x, y, z, l, w, h, yaw; cars unless named."""
    numbers = np.array(rows, dtype=np.float64).reshape(-1, 7)
    arrays = [None if values is None else np.array(values, dtype=np.float64) for values in (scores, velocities)]
    return Boxes(numbers, names or ['car'] * len(numbers), *arrays)


def make_frame(number=0, scene='scene-0001', models=None, truth=None, points=None):
    """Frame ``number`` of a scene, with the image of one camera, a grey one with a red upper half."""
    image = np.full((90, 160, 3), 128, dtype=np.uint8)
    image[:45] = (200, 30, 30)
    camera = dict(cam_intrinsic=INTRINSIC, sensor2lidar_rotation=FORWARD, sensor2lidar_translation=np.zeros(3))
    pose = np.eye(4)
    pose[:3, 3] = 100.0, 50.0 + 3.0 * number, 2.0
    return Frame(
        token=f'{scene}-{number}', scene=scene, seconds=0.5 * number, lidar_to_global=pose,
        points=np.array([[1.0, 2.0, -1.5, 0, 0]] if points is None else points, dtype=np.float32),
        cameras={'CAM_FRONT': (image, camera)},
        truth=boxes(TURNED, velocities=[[3.0, 4.0]]) if truth is None else truth,
        models={'student': boxes(TURNED, scores=[0.6])} if models is None else models,
    )  # fmt: skip
