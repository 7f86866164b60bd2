"""Images as a film: GIF always, MP4 where OpenCV can encode one."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ..structures.atomic_file import replace_when_done


def write_gif(images: Sequence[np.ndarray], path: str | Path, fps: float, colours: int = 128) -> None:
    """Write an endless GIF.

    Args:
        images: (H, W, 3) uint8 RGB, all of one size.
        path: File to write.
        fps: Images a second.
        colours: Of each image, at most 256. Fewer make a smaller file.
    """
    # without dithering: noise in plain areas would double the file
    pictures = [Image.fromarray(image).quantize(colours, dither=Image.Dither.NONE) for image in images]
    with replace_when_done(path) as temporary:
        pictures[0].save(
            temporary, format='GIF', save_all=True, append_images=pictures[1:], duration=round(1000 / fps), loop=0
        )


def write_mp4(images: Sequence[np.ndarray], path: str | Path, fps: float) -> bool:
    """Write a film in MPEG-4, which OpenCV's wheels encode without any other package.

    Args:
        images: (H, W, 3) uint8 RGB, all of one size, even numbers of pixels.
        path: File to write.
        fps: Images a second.

    Returns:
        Whether this OpenCV has the encoder; nothing is written without it.
    """
    height, width = images[0].shape[:2]
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / 'film.mp4'  # the encoder goes by the name, which a temporary file's does not have
        writer = cv2.VideoWriter(str(film), cv2.VideoWriter_fourcc(*'mp4v'), fps, (width, height))
        if not writer.isOpened():
            return False
        for image in images:
            writer.write(np.ascontiguousarray(image[..., ::-1]))
        writer.release()
        with replace_when_done(path) as temporary:
            shutil.copyfile(film, temporary)
    return True
