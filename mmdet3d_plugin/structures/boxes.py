"""Labelled 3-D boxes and their geometry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations, product

import numpy as np

# Corner i lies at +-l/2, +-w/2, +-h/2 with the signs of row i; two corners that differ in one sign share an edge.
_SIGNS = np.array(list(product((-1, 1), repeat=3)), dtype=np.float64)
EDGES = np.array([pair for pair in combinations(range(8), 2) if (_SIGNS[pair[0]] != _SIGNS[pair[1]]).sum() == 1])


@dataclass(frozen=True)
class Boxes:
    """Boxes of one sample in one frame.

    Args:
        boxes: (N, 7) x, y, z of the gravity centre, l, w, h (m), yaw (rad, counter-clockwise from x).
        names: Class of each box.
        scores: (N,) scores; None for ground truth.
        velocities: (N, 2) along x and y, m/s, NaN where unknown; None where nobody asks for them.

    Raises:
        ValueError: The lengths differ or boxes are not (N, 7).
    """

    boxes: np.ndarray
    names: Sequence[str] = field(default_factory=list)
    scores: np.ndarray | None = None
    velocities: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.boxes.ndim != 2 or self.boxes.shape[1] != 7:
            raise ValueError(f'boxes must be (N, 7), got {self.boxes.shape}')
        more = [values for values in (self.scores, self.velocities) if values is not None]
        if {len(self.names), *map(len, more)} != {len(self.boxes)}:
            raise ValueError(
                f'{len(self.boxes)} boxes, {len(self.names)} names, scores and velocities must be equally many'
            )

    def __len__(self) -> int:
        return len(self.boxes)

    def select(self, keep: np.ndarray) -> Boxes:
        """Those where the boolean mask ``keep`` (N,) is true."""
        keep = np.asarray(keep, dtype=bool)
        names = [name for name, kept in zip(self.names, keep) if kept]
        scores, velocities = (values if values is None else values[keep] for values in (self.scores, self.velocities))
        return Boxes(self.boxes[keep], names, scores, velocities)


def box_corners(boxes: np.ndarray) -> np.ndarray:
    """Corners of boxes.

    Args:
        boxes: (N, 7), see :class:`Boxes`.

    Returns:
        (N, 8, 3) metres; corners 0 to 3 are the rear face, 4 to 7 the front face, even ones at the bottom.
    """
    local = _SIGNS * boxes[:, None, 3:6] / 2
    return _turn_and_move(local, boxes)


def footprint(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ground rectangles and headings.

    Args:
        boxes: (N, 7), see :class:`Boxes`.

    Returns:
        Rectangles (N, 4, 2), in order around the box starting rear right, and heading
        segments (N, 2, 2) from the centre to the middle of the front side; metres.
    """
    outline = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], dtype=np.float64)
    heading = np.array([[0, 0, 0], [1, 0, 0]], dtype=np.float64)
    half = boxes[:, None, 3:6] / 2
    return _turn_and_move(outline * half, boxes)[..., :2], _turn_and_move(heading * half, boxes)[..., :2]


def _turn_and_move(local, boxes):
    """Rotate (N, K, 3) box coordinates by the yaw of each box and move them to its centre."""
    cos, sin = np.cos(boxes[:, 6, None]), np.sin(boxes[:, 6, None])
    x, y, z = local[..., 0], local[..., 1], local[..., 2]
    return np.stack([cos * x - sin * y, sin * x + cos * y, z], axis=-1) + boxes[:, None, :3]
