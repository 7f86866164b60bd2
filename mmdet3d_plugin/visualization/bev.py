"""One bird's-eye-view panel: points, ground truth, predictions."""

import cv2
import numpy as np

from ..structures.boxes import footprint
from .palette import BACKGROUND, GRID, GROUND_TRUTH, GROUND_TRUTH_FILL, POINT, TEXT, class_colour

_SUBPIXEL_BITS = 4  # OpenCV draws at fractions of a pixel when coordinates are given as fixed-point numbers


def bev_pixels(xy, bev_range, height):
    """Where metric positions lie in the panel: x to the right, y up (the frame's axes as on paper).

    Args:
        xy (np.ndarray): (..., 2) metres in the LiDAR frame.
        bev_range (Sequence[float]): x_min, y_min, x_max, y_max of the panel, metres.
        height (int): Panel height, px; the width follows from the range.

    Returns:
        np.ndarray: (..., 2) column and row, px; (x_min, y_max) is the image's upper left corner (0, 0).
    """
    x_min, y_min, _, y_max = bev_range
    scale = height / (y_max - y_min)
    xy = np.asarray(xy, dtype=np.float64)
    return np.stack([(xy[..., 0] - x_min) * scale, (y_max - xy[..., 1]) * scale], axis=-1)


def draw_bev(points, truth, predicted, bev_range, height=600, ring_step=10.0, show_scores=True):
    """Draw one panel. Ground truth is filled green, predictions are outlined in their class's colour.

    Args:
        points (np.ndarray): (M, >=2) LiDAR points, metres.
        truth (Boxes): Ground truth in the LiDAR frame.
        predicted (Boxes): Predictions with scores in the LiDAR frame.
        bev_range (Sequence[float]): x_min, y_min, x_max, y_max, metres.
        height (int): Panel height, px.
        ring_step (float): Distance between range rings, metres.
        show_scores (bool): Write each prediction's score beside it.

    Returns:
        np.ndarray: (height, width, 3) uint8 RGB.
    """
    x_min, y_min, x_max, y_max = bev_range
    width = int(round(height * (x_max - x_min) / (y_max - y_min)))
    image = np.full((height, width, 3), BACKGROUND, dtype=np.uint8)
    _draw_boxes_filled(image, truth, bev_range, height)
    _draw_rings(image, bev_range, height, ring_step)
    _draw_points(image, points, bev_range, height)
    draw_outlines(image, truth, [GROUND_TRUTH] * len(truth), bev_range, height, thickness=1)
    colours = [class_colour(name) for name in predicted.names]
    draw_outlines(image, predicted, colours, bev_range, height, thickness=2)
    if show_scores and predicted.scores is not None:
        _write_scores(image, predicted, colours, bev_range, height)
    return image


def _fixed_point(pixels):
    return np.round(pixels * 2**_SUBPIXEL_BITS).astype(np.int32)


def _draw_boxes_filled(image, boxes, bev_range, height):
    rectangles, _ = footprint(boxes.boxes)
    for rectangle in _fixed_point(bev_pixels(rectangles, bev_range, height)):
        cv2.fillPoly(image, [rectangle], GROUND_TRUTH_FILL, lineType=cv2.LINE_AA, shift=_SUBPIXEL_BITS)


def draw_outlines(image, boxes, colours, bev_range, height, thickness):
    """Draw rectangles and headings of boxes into a panel.

    Args:
        image (np.ndarray): (height, width, 3) uint8 RGB, changed in place; the panel of ``bev_range``.
        boxes (Boxes): In the panel's frame.
        colours (Sequence[tuple]): RGB of each box.
        bev_range (Sequence[float]): x_min, y_min, x_max, y_max, metres.
        height (int): Panel height, px.
        thickness (int): Of the lines, px.
    """
    rectangles, headings = (bev_pixels(part, bev_range, height) for part in footprint(boxes.boxes))
    style = dict(thickness=thickness, lineType=cv2.LINE_AA, shift=_SUBPIXEL_BITS)
    for rectangle, heading, colour in zip(_fixed_point(rectangles), _fixed_point(headings), colours):
        cv2.polylines(image, [rectangle], True, colour, **style)
        cv2.polylines(image, [heading], False, colour, **style)


def _draw_rings(image, bev_range, height, step):
    """Range rings around the sensor with their radius beside the upward axis."""
    centre = bev_pixels([0.0, 0.0], bev_range, height)
    scale = height / (bev_range[3] - bev_range[1])
    farthest = max(abs(value) for value in bev_range)
    for radius in np.arange(step, farthest + 1e-6, step):
        cv2.circle(image, tuple(_fixed_point(centre)), int(radius * scale * 2**_SUBPIXEL_BITS), GRID, 1, cv2.LINE_AA,
                   _SUBPIXEL_BITS)  # fmt: skip
        corner = (int(centre[0]) + 3, int(centre[1] - radius * scale) + 11)
        cv2.putText(image, f'{radius:g} m', corner, cv2.FONT_HERSHEY_SIMPLEX, 0.32, POINT, 1, cv2.LINE_AA)
    cv2.drawMarker(image, tuple(np.round(centre).astype(int).tolist()), TEXT, cv2.MARKER_TRIANGLE_UP, 9, 1, cv2.LINE_AA)


def _draw_points(image, points, bev_range, height):
    pixels = np.floor(bev_pixels(points[:, :2], bev_range, height)).astype(np.int64)
    inside = ((pixels >= 0) & (pixels < [image.shape[1], image.shape[0]])).all(axis=1)
    image[pixels[inside, 1], pixels[inside, 0]] = POINT


def _write_scores(image, boxes, colours, bev_range, height):
    """Each score beside the rightmost corner of its box."""
    rectangles = bev_pixels(footprint(boxes.boxes)[0], bev_range, height)
    for rectangle, score, colour in zip(rectangles, boxes.scores, colours):
        column, row = rectangle[rectangle[:, 0].argmax()]
        place = (int(column) + 3, int(row) + 4)
        cv2.putText(image, f'{score:.2f}', place, cv2.FONT_HERSHEY_SIMPLEX, 0.32, colour, 1, cv2.LINE_AA)
