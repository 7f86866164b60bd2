"""Image augmentation as one affine map between pixel grids.

Pixel convention, here and in every projection of the project: (u, v) counts columns and rows, whole numbers are pixel
*centres*, so an image of width W spans [-0.5, W - 0.5]. Resizing by s therefore maps u to s * (u + 0.5) - 0.5.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class ImageAug:
    """One camera's augmentation, applied in the order resize, crop, flip, rotate.

    resize: scale from the original image. crop: (left, top) in px of the resized image. flip: mirror left-right.
    rotate: radians about the centre of the crop, positive turning +u towards +v (clockwise on the screen).
    """

    resize: float
    crop: tuple
    flip: bool = False
    rotate: float = 0.0

    def matrix(self, final_dim):
        """(3, 3) float64: homogeneous original pixel -> augmented pixel of an image of ``final_dim`` (H, W)."""
        height, width = final_dim
        resized = resize_matrix(self.resize)
        resized[:2, 2] -= self.crop
        if self.flip:
            resized = np.array([[-1.0, 0.0, width - 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]) @ resized
        centre = np.array([(width - 1) / 2, (height - 1) / 2])
        cos, sin = math.cos(self.rotate), math.sin(self.rotate)
        turn = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
        turn[:2, 2] = centre - turn[:2, :2] @ centre
        return turn @ resized


def resize_matrix(scale):
    """(3, 3) float64: pixel -> pixel of the image resized by ``scale``."""
    offset = 0.5 * scale - 0.5
    return np.array([[scale, 0.0, offset], [0.0, scale, offset], [0.0, 0.0, 1.0]])


def seen_part(matrix, final_dim, size):
    """Rows and columns of an image that a warp reads, so that the rest need not be touched.

    Args:
        matrix (ndarray): (3, 3), pixel of the image -> pixel of the result.
        final_dim (tuple[int]): (H, W) of the result.
        size (Sequence[int]): (height, width) of the image.

    Returns:
        tuple[slice]: rows, columns; at least one of each, also of an image that the result does not show.
    """
    inverse = cv2.invertAffineTransform(np.asarray(matrix[:2], dtype=np.float64)).tolist()
    parts = []
    for (of_col, of_row, first), side in zip(inverse[::-1], size):
        reach = (of_col * (final_dim[1] - 1), of_row * (final_dim[0] - 1))
        low, high = (first + sum(limit(0.0, step) for step in reach) for limit in (min, max))
        # bilinear sampling reads two pixels beside each place; one more for the sampler's rounding to 1/32 px
        start = min(max(math.floor(low) - 1, 0), side - 1)
        parts.append(slice(start, max(start + 1, min(math.ceil(high) + 2, side))))
    return tuple(parts)
