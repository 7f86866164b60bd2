"""Reading and decoding of one camera image."""

from pathlib import Path
from typing import Union

import cv2
import numpy as np

DECODE_FLAGS = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4}
_JPEG_START, _JPEG_END = b'\xff\xd8', b'\xff\xd9'


def read_image(path: Union[str, Path], reduction: int = 1) -> np.ndarray:
    """(h, w, 3) uint8 BGR image of a file, its sides divided by ``reduction`` (1, 2 or 4) and rounded up.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is empty, truncated or not an image.
    """
    try:
        with open(path, 'rb') as file:
            data = file.read()
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f'image {path} does not exist; check data_root and that the camera blobs are unpacked there'
        ) from error
    # A truncated JPEG decodes without an error into a half grey picture, so its end marker is looked for.
    whole = not data.startswith(_JPEG_START) or _JPEG_END in data[-64:]
    flag = DECODE_FLAGS[reduction] | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flag) if data and whole else None
    if image is None:
        raise ValueError(f'image {path} ({len(data)} bytes) is corrupt or truncated; fetch it again')
    return image
