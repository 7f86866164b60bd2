"""A small camera, masks and instances for the tests of virtual points."""

import numpy as np

from mmdet3d_plugin.virtual_points.instance_masks import crop_instance
from mmdet3d_plugin.virtual_points.sweeps import CameraImage

WIDTH, HEIGHT = 160, 90


def forward_camera(width=WIDTH, height=HEIGHT, offset=(0.1, -0.3, 0.2)):
    """CameraImage that looks along the LiDAR's y axis (forward), focal length 120 px, a little off the LiDAR."""
    transform = np.eye(4)
    transform[:3, :3] = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]
    transform[:3, 3] = offset
    intrinsic = np.array([[120.0, 0, width / 2], [0, 120.0, height / 2], [0, 0, 1]])
    return CameraImage('CAM_FRONT', 'samples/CAM_FRONT/x.jpg', width, height, intrinsic, transform, {})


def rectangle(left, top, width, height):
    """(HEIGHT, WIDTH) bool with one filled rectangle."""
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[top : top + height, left : left + width] = True
    return mask


def instance(left, top, width, height, label=0, score=1.0):
    """InstanceMask of a filled rectangle."""
    return crop_instance(label, score, rectangle(left, top, width, height))
