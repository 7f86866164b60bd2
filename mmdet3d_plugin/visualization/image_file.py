"""RGB images from and to files."""

from pathlib import Path
from typing import Union

import cv2
import numpy as np

from dualdistill_runtime import image_file

from ..structures.atomic_file import replace_when_done


def read_image(path: Union[str, Path]) -> np.ndarray:
    """(H, W, 3) uint8 RGB, as a pipeline reads it: see :func:`dualdistill_runtime.image_file.read_image` for errors."""
    return image_file.read_image(path)[..., ::-1].copy()


def write_image(path: Union[str, Path], image: np.ndarray) -> None:
    """Write (H, W, 3) uint8 RGB in the format of the file's ending.

    Raises:
        OSError: It cannot be written; names the file.
        ValueError: OpenCV knows no such ending.
    """
    suffix = Path(path).suffix
    if not suffix or not cv2.haveImageWriter(f'image{suffix}'):
        raise ValueError(f'{path}: no format for images goes with this ending; take .png or .jpg')
    _, data = cv2.imencode(suffix, image[..., ::-1])
    with replace_when_done(path) as temporary:
        temporary.write_bytes(data.tobytes())
