"""RGB images from and to files."""

from pathlib import Path
from typing import Union

import cv2
import numpy as np


def read_image(path: Union[str, Path]) -> np.ndarray:
    """(H, W, 3) uint8 RGB; FileNotFoundError when it cannot be read."""
    image = cv2.imread(str(path))
    if image is None:
        raise FileNotFoundError(f'cannot read image {path}')
    return image[..., ::-1].copy()


def write_image(path: Union[str, Path], image: np.ndarray) -> None:
    """Write (H, W, 3) uint8 RGB; OSError when it cannot be written."""
    if not cv2.imwrite(str(path), image[..., ::-1]):
        raise OSError(f'cannot write {path}')
