"""3-D boxes in camera images, and the images of all cameras side by side."""

import cv2
import numpy as np

from ..structures.boxes import EDGES, box_corners
from ..structures.poses import project
from .palette import BACKGROUND

# nuScenes' six: looking forward in the upper row, backward in the lower one.
MOSAIC = (('CAM_FRONT_LEFT', 'CAM_FRONT', 'CAM_FRONT_RIGHT'), ('CAM_BACK_LEFT', 'CAM_BACK', 'CAM_BACK_RIGHT'))


def clip_to_front(segments, near=0.1):
    """Cut line segments at the plane z = ``near`` in front of the camera.

    Args:
        segments (np.ndarray): (M, 2, 3) end points in the camera frame (x right, y down, z forward), metres.
        near (float): Metres, > 0.

    Returns:
        tuple[np.ndarray, np.ndarray]: The parts in front (K, 2, 3) and the indices (K,) of their segments.
    """
    depth = segments[..., 2]
    index = np.flatnonzero((depth >= near).any(axis=1))
    clipped = segments[index].copy()
    for end in (0, 1):
        behind = np.flatnonzero(clipped[:, end, 2] < near)
        start, stop = clipped[behind, end], clipped[behind, 1 - end]
        share = (near - start[:, 2]) / (stop[:, 2] - start[:, 2])
        clipped[behind, end] = start + share[:, None] * (stop - start)
    return clipped, index


def box_segments(boxes, lidar_to_camera, intrinsic, near=0.1):
    """Edges of boxes as image line segments.

    Args:
        boxes (np.ndarray): (N, 7) in the LiDAR frame, see :class:`~mmdet3d_plugin.structures.boxes.Boxes`.
        lidar_to_camera (np.ndarray): (4, 4).
        intrinsic (np.ndarray): (3, 3), px.
        near (float): What is nearer than this to the image plane is cut off, metres.

    Returns:
        tuple[np.ndarray, np.ndarray]: Segments (K, 2, 2), px (may lie outside the image), and the box (K,) of each.
    """
    corners = box_corners(boxes)
    corners = corners @ lidar_to_camera[:3, :3].T + lidar_to_camera[:3, 3]
    segments, index = clip_to_front(corners[:, EDGES].reshape(-1, 2, 3), near)
    return project(segments, intrinsic), index // len(EDGES)


def draw_boxes(image, boxes, colours, lidar_to_camera, intrinsic, thickness=1):
    """Draw the edges of boxes.

    Args:
        image (np.ndarray): (H, W, 3) uint8 RGB; not changed.
        boxes (Boxes): In the LiDAR frame.
        colours (Sequence[tuple]): RGB of each box.

    Returns:
        np.ndarray: A copy of the image with the boxes.
    """
    image = image.copy()
    height, width = image.shape[:2]
    segments, owners = box_segments(boxes.boxes, lidar_to_camera, intrinsic)
    for (start, stop), owner in zip(np.round(segments).astype(np.int64).tolist(), owners):
        # Segments that start just in front of the camera reach far outside, where OpenCV's line would overflow.
        visible, start, stop = cv2.clipLine((0, 0, width, height), start, stop)
        if visible:
            cv2.line(image, start, stop, colours[owner], thickness, cv2.LINE_AA)
    return image


def resize_with_intrinsic(image, intrinsic, width):
    """Resize an image to ``width`` px, keeping its shape, and the (3, 3) intrinsic matrix with it."""
    scale = width / image.shape[1]
    size = (width, int(round(image.shape[0] * scale)))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    scaled = np.asarray(intrinsic, dtype=np.float64) * np.array([[size[0] / image.shape[1]],
                                                                 [size[1] / image.shape[0]], [1.0]])  # fmt: skip
    return cv2.resize(image, size, interpolation=interpolation), scaled


def mosaic(images, gap=4):
    """Camera images in two rows: nuScenes' six as they look around the car, other cameras in the order given.

    Args:
        images (dict[str, np.ndarray]): Camera name -> (h, w, 3) uint8. Smaller images stand in the upper left corner
            of their place.
        gap (int): Pixels between them.

    Returns:
        np.ndarray: (2 H + gap, C W + (C - 1) gap, 3) uint8, H and W the largest sizes, C cameras in a row (3 of six);
        one row for a single camera.

    Raises:
        ValueError: There is no image.
    """
    if not images:
        raise ValueError('a mosaic needs at least one image')
    rows = MOSAIC if set(images) == set(sum(MOSAIC, ())) else _in_two_rows(list(images))
    height, width = (max(image.shape[axis] for image in images.values()) for axis in (0, 1))
    shape = (len(rows) * (height + gap) - gap, len(rows[0]) * (width + gap) - gap, 3)
    canvas = np.full(shape, BACKGROUND, dtype=np.uint8)
    for row, names in enumerate(rows):
        for column, name in enumerate(names):
            top, left, image = row * (height + gap), column * (width + gap), images[name]
            canvas[top : top + image.shape[0], left : left + image.shape[1]] = image
    return canvas


def _in_two_rows(names):
    middle = -(-len(names) // 2)
    return [row for row in (names[:middle], names[middle:]) if row]
