"""One picture of one sample: a row per model with its bird's-eye view and its camera images."""

import cv2
import numpy as np

from ..structures.boxes import Boxes
from ..structures.poses import lidar_to_camera
from .bev import draw_bev
from .camera import draw_boxes, mosaic, resize_with_intrinsic
from .frame import above
from .palette import BACKGROUND, CLASS_COLOURS, GROUND_TRUTH, TEXT, class_colour

_STRIP = 26  # px, height of a line of text


def draw_sheet(models, truth, points, cameras, bev_range, title, camera_width=400):
    """Draw every model's predictions of one sample below each other.

    Args:
        models (dict[str, Boxes]): Name -> predictions in the LiDAR frame.
        truth (Boxes): Ground truth in the LiDAR frame.
        points (np.ndarray): (M, >=2) LiDAR points.
        cameras (dict[str, tuple]): Camera name -> image (H, W, 3) uint8 RGB and its info dict (``cam_intrinsic``,
            ``sensor2lidar_rotation``, ``sensor2lidar_translation``).
        bev_range (Sequence[float]): x_min, y_min, x_max, y_max, metres.
        title (str): First line.
        camera_width (int): Width of each camera image in the sheet, px.

    Returns:
        np.ndarray: (H, W, 3) uint8 RGB.
    """
    scenes = {
        name: (*resize_with_intrinsic(image, camera['cam_intrinsic'], camera_width), lidar_to_camera(camera))
        for name, (image, camera) in cameras.items()
    }
    rows = []
    for name, predicted in models.items():
        images = mosaic({camera: _draw_camera(*scene, truth, predicted) for camera, scene in scenes.items()})
        panel = draw_bev(points, truth, predicted, bev_range, height=images.shape[0])
        gap = np.full((images.shape[0], 4, 3), BACKGROUND, dtype=np.uint8)
        row = np.concatenate([panel, gap, images], axis=1)
        rows += [text_strip(f'{name}: {len(predicted)} boxes, ground truth {len(truth)}', row.shape[1]), row]
    width = rows[-1].shape[1]
    return np.concatenate([text_strip(title, width), _legend(width), *rows])


def draw_frame(frame, bev_range, threshold, camera_width=400, credit=''):
    """The sheet of a :class:`~mmdet3d_plugin.visualization.frame.Frame`.

    Args:
        frame (Frame): Keyframe with everybody's boxes.
        bev_range (Sequence[float]): x_min, y_min, x_max, y_max, metres.
        threshold (float): Predictions with a lower score are left out.
        camera_width (int): Width of each camera image in the sheet, px.
        credit (str): Last line.

    Returns:
        np.ndarray: (H, W, 3) uint8 RGB.
    """
    title = f'{frame.scene}, {frame.seconds:.1f} s, predictions with a score of at least {threshold:g}'
    models = {name: above(boxes, threshold) for name, boxes in frame.models.items()}
    truth = Boxes(np.zeros((0, 7))) if frame.truth is None else frame.truth
    sheet = draw_sheet(models, truth, frame.points, frame.cameras, bev_range, title, camera_width)
    return np.concatenate([sheet, text_strip(credit, sheet.shape[1])]) if credit else sheet


def _draw_camera(image, intrinsic, transform, truth, predicted):
    image = draw_boxes(image, truth, [GROUND_TRUTH] * len(truth), transform, intrinsic)
    return draw_boxes(image, predicted, [class_colour(name) for name in predicted.names], transform, intrinsic)


def text_strip(text, width, colour=TEXT):
    """One line of text on the background, (height of a line, width, 3) uint8 RGB."""
    strip = np.full((_STRIP, width, 3), BACKGROUND, dtype=np.uint8)
    cv2.putText(strip, text, (6, _STRIP - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, 1, cv2.LINE_AA)
    return strip


def _legend(width):
    """Names of the colours, in one line."""
    strip, left = text_strip('', width), 6
    for name, colour in {'ground truth': GROUND_TRUTH, **CLASS_COLOURS}.items():
        cv2.rectangle(strip, (left, 9), (left + 10, 19), colour, -1)
        cv2.putText(strip, name, (left + 15, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.38, TEXT, 1, cv2.LINE_AA)
        left += 15 + cv2.getTextSize(name, cv2.FONT_HERSHEY_SIMPLEX, 0.38, 1)[0][0] + 14
    return strip
