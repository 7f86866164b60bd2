"""Instance masks from annotated 3-D boxes, for checking virtual points against the boxes."""

import io
from typing import NamedTuple

import cv2
import numpy as np

from dualdistill_runtime.detection_classes import DETECTION_CLASSES

from ..structures.boxes import box_corners
from ..structures.poses import project
from .instance_masks import crop_instance
from .lift import project_points
from .rendered_masks import RenderedMaskReader

OUTLINES = ('box', 'points', 'rendered')
_MIN_DEPTH = 0.1  # m
_MIN_POINTS = 3  # of an outline


class AnnotatedObjects(NamedTuple):
    """Objects of a keyframe with LiDAR points.

    Attributes:
        boxes (np.ndarray): (N, 7) LiDAR frame: gravity centre, l, w, h (m), yaw (rad).
        names (np.ndarray): (N,) detection classes.
        instance_tokens (list[str]): nuScenes instances.
    """

    boxes: np.ndarray
    names: np.ndarray
    instance_tokens: list


def annotated_objects(info, annotations):
    """AnnotatedObjects of an info and the annotation records in the order of its boxes."""
    keep = np.flatnonzero(np.isin(info['gt_names'], DETECTION_CLASSES) & (info['num_lidar_pts'] > 0))
    tokens = [annotations[number]['instance_token'] for number in keep]
    return AnnotatedObjects(info['gt_boxes'][keep], info['gt_names'][keep], tokens)


def masks_of_objects(outline, objects, image, xyz, data_root):
    """Masks of objects in an image.

    Args:
        outline (str): One of ``OUTLINES``: the projected box, the object's own projected points, or exact masks.
        objects (AnnotatedObjects): Objects.
        image (CameraImage): Image.
        xyz (np.ndarray): (N, 3) float64 LiDAR points, m.
        data_root (str): Folder of the exact masks.

    Returns:
        tuple[list[InstanceMask], np.ndarray]: Masks, nearer objects with higher scores, and the row (n,) in
        ``objects`` of each. Objects that are not seen, or reach behind the camera, have none.
    """
    if outline == 'rendered':
        return _rendered(objects, image, data_root)
    outlines = _box_outlines(objects, image) if outline == 'box' else _point_outlines(objects, image, xyz)
    masks, index = [], []
    for number, pixels in outlines:
        hull = cv2.convexHull(np.round(pixels).astype(np.int32))
        canvas = cv2.fillConvexPoly(np.zeros((image.height, image.width), dtype=np.uint8), hull, 1)
        score = 1 / (1 + float(np.linalg.norm(objects.boxes[number, :2])))
        label = DETECTION_CLASSES.index(objects.names[number])
        mask = crop_instance(label, score, canvas.view(bool))
        if mask is not None:
            masks.append(mask)
            index.append(number)
    return masks, np.array(index, dtype=np.int64)


def _box_outlines(objects, image):
    transform = image.lidar_to_camera
    corners = box_corners(objects.boxes) @ transform[:3, :3].T + transform[:3, 3]
    for number in np.flatnonzero(corners[..., 2].min(axis=1) > _MIN_DEPTH):
        yield number, project(corners[number], image.intrinsic)


def _point_outlines(objects, image, xyz):
    index, pixels, _ = project_points(xyz, image)
    for number, box in enumerate(objects.boxes):
        own = distance_to_boxes(xyz[index], np.broadcast_to(box, (len(index), 7))) == 0
        if own.sum() >= _MIN_POINTS:
            yield number, pixels[own]


def _rendered(objects, image, data_root):
    reader = RenderedMaskReader(data_root)
    raw = reader.raw(image)
    rows = {token: row for row, token in enumerate(objects.instance_tokens)}
    with np.load(io.BytesIO(raw)) as archive:
        index = [rows.get(str(token), -1) for token in archive['instance_tokens']]
    pairs = [(mask, row) for mask, row in zip(reader.parse(raw, image).instances, index) if row >= 0]
    return [mask for mask, _ in pairs], np.array([row for _, row in pairs], dtype=np.int64)


def distance_to_boxes(xyz, boxes):
    """(N,) distance of each point (N, 3) to its own box (N, 7), 0 inside, m."""
    cos, sin = np.cos(boxes[:, 6]), np.sin(boxes[:, 6])
    dx, dy, dz = (xyz - boxes[:, :3]).T
    local = np.stack([cos * dx + sin * dy, cos * dy - sin * dx, dz], axis=1)
    return np.linalg.norm(np.maximum(np.abs(local) - boxes[:, 3:6] / 2, 0), axis=1)
