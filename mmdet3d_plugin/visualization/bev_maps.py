"""BEV maps as coloured panels, and panels as a sheet."""

import cv2
import numpy as np

from .bev import draw_outlines
from .palette import BACKGROUND, GROUND_TRUTH, TEXT
from .sheet import text_strip

FOREGROUND, FALSE_POSITIVE, REST = (64, 170, 90), (214, 39, 40), (226, 228, 233)
_OUTLINE = (255, 255, 255)
_GAP = 4  # px between panels
_CAPTION = 30  # px, two lines


def colourise(values, highest=None):
    """Map of numbers to colours, dark for 0 and below, bright for ``highest`` and above.

    Args:
        values (np.ndarray): (H, W), row 0 at y_min.
        highest (float | None): The brightest value; by default the largest one.

    Returns:
        np.ndarray: (H, W, 3) uint8 RGB.
    """
    highest = values.max(initial=0.0) if highest is None else highest
    share = np.clip(values / highest, 0.0, 1.0) if highest > 0 else np.zeros_like(values)
    return cv2.applyColorMap(np.round(share * 255).astype(np.uint8), cv2.COLORMAP_VIRIDIS)[..., ::-1]


def colour_regions(fg, fp):
    """Region masks (H, W) bool as an (H, W, 3) uint8 RGB image; what is neither is background."""
    image = np.full((*fg.shape, 3), REST, dtype=np.uint8)
    image[fg] = FOREGROUND
    image[fp] = FALSE_POSITIVE
    return image


def map_panel(colours, caption, bev_range, height, truth=None, outline=_OUTLINE):
    """One panel: the cells of a map as rectangles, y upwards, with ground truth outlined and a caption above.

    Args:
        colours (np.ndarray): (H, W, 3) uint8 RGB, row 0 at y_min.
        caption (str): At most two lines.
        bev_range (Sequence[float]): x_min, y_min, x_max, y_max of the map, metres.
        height (int): Height of the map in the panel, px.
        truth (Boxes | None): Outlined.
        outline (tuple): RGB of the outlines.

    Returns:
        np.ndarray: (height + caption, width, 3) uint8 RGB.
    """
    x_min, y_min, x_max, y_max = bev_range
    width = int(round(height * (x_max - x_min) / (y_max - y_min)))
    image = cv2.resize(np.ascontiguousarray(colours[::-1]), (width, height), interpolation=cv2.INTER_NEAREST)
    if truth is not None:
        draw_outlines(image, truth, [outline] * len(truth), bev_range, height, thickness=1)
    head = np.full((_CAPTION, width, 3), BACKGROUND, dtype=np.uint8)
    for number, line in enumerate(caption.splitlines()):
        place = (2, 11 + 13 * number)
        cv2.putText(head, line, place, cv2.FONT_HERSHEY_SIMPLEX, 0.36, TEXT, 1, cv2.LINE_AA)
    return np.concatenate([head, image])


def panel_sheet(rows, title):
    """Rows of panels under each other.

    Args:
        rows (dict[str, list[np.ndarray]]): Heading -> panels of one height.
        title (str): First line.

    Returns:
        np.ndarray: (H, W, 3) uint8 RGB.
    """
    lines = {heading: _side_by_side(panels) for heading, panels in rows.items()}
    width = max(line.shape[1] for line in lines.values())
    parts = [text_strip(title, width)]
    for heading, line in lines.items():
        filler = np.full((line.shape[0], width - line.shape[1], 3), BACKGROUND, dtype=np.uint8)
        parts += [text_strip(heading, width), np.concatenate([line, filler], axis=1)]
    return np.concatenate(parts)


def _side_by_side(panels):
    gap = np.full((panels[0].shape[0], _GAP, 3), BACKGROUND, dtype=np.uint8)
    return np.concatenate([part for panel in panels for part in (panel, gap)], axis=1)


def region_panel(fg, fp, caption, bev_range, height, truth):
    """:func:`map_panel` of region masks, with outlines that show on its bright background."""
    return map_panel(colour_regions(fg, fp), caption, bev_range, height, truth, outline=GROUND_TRUTH)
