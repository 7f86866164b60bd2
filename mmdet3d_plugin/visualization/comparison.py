"""One frame of a film: models and ground truth side by side, each from above and in the front camera."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..structures.boxes import Boxes
from ..structures.poses import lidar_to_camera
from .bev import draw_bev
from .camera import draw_boxes, resize_with_intrinsic
from .frame import Frame, above
from .palette import BACKGROUND, class_colour
from .sheet import text_strip

FRONT = 'CAM_FRONT'
_NONE = Boxes(np.zeros((0, 7)))


def draw_comparison(
    frame: Frame, bev_range: Sequence[float], threshold: float, height: int = 320, gap: int = 6, credit: str = ''
) -> np.ndarray:
    """Columns side by side, one a model and the ground truth last. All boxes have the colour of their class.

    The models' columns show the ground truth as green areas beneath the predictions.

    Args:
        frame: What to draw.
        bev_range: x_min, y_min, x_max, y_max of the bird's-eye view, metres.
        threshold: Predictions with a lower score are left out.
        height: Of a bird's-eye view, px; its width follows from the range.
        gap: Pixels between columns.
        credit: A line below.

    Returns:
        (H, W, 3) uint8 RGB, even numbers of pixels as encoders of films want them.
    """
    truth = _NONE if frame.truth is None else frame.truth
    columns = [(name, truth, above(boxes, threshold)) for name, boxes in frame.models.items()]
    if frame.truth is not None:
        columns.append(('ground truth', _NONE, truth))
    drawn = [_column(frame, *column, bev_range, height) for column in columns]
    between = np.full((drawn[0].shape[0], gap, 3), BACKGROUND, dtype=np.uint8)
    row = np.concatenate([part for column in drawn for part in (column, between)][:-1], axis=1)
    title = f'{frame.scene}  {frame.seconds:.1f} s'
    strips = [text_strip(text, row.shape[1]) for text in (title, credit) if text]
    return _even(np.concatenate([strips[0], row, *strips[1:]]))


def _column(frame, name, truth, boxes, bev_range, height):
    """Name, bird's-eye view and front camera below each other."""
    panel = draw_bev(frame.points, truth, boxes, bev_range, height, show_scores=False)
    width = panel.shape[1]
    camera = FRONT if FRONT in frame.cameras else next(iter(frame.cameras), None)
    image = [] if camera is None else [_front(*frame.cameras[camera], boxes, width)]
    return np.concatenate([text_strip(f'{name}: {len(boxes)} boxes', width), panel, *image])


def _front(image, camera, boxes, width):
    image, intrinsic = resize_with_intrinsic(image, camera['cam_intrinsic'], width)
    return draw_boxes(image, boxes, [class_colour(name) for name in boxes.names], lidar_to_camera(camera), intrinsic)


def _even(image):
    """The image with a row and a column more where their number is odd."""
    grow = [(0, size % 2) for size in image.shape[:2]]
    return np.pad(image, [*grow, (0, 0)], mode='edge')
