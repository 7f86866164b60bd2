"""Camera images -> the network's input, by the recipe in its file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .frame import Frame
from .image_file import read_image
from .poses import invert_pose
from .resize_crop_images import ResizeCropImages
from .rig import Rig
from .whole_images import WholeImages

_KINDS = dict(resize_crop=(ResizeCropImages, dict(test_mode=True)), whole=(WholeImages, {}))


class ImageInput:
    """Reads, resizes and normalises as the pipeline did that the student was tested with.

    Args:
        recipe: ``image`` of a file.
        cameras: Names in the order of the network's camera axis.
        size: (H, W) of the network's images.
    """

    def __init__(self, recipe: Mapping[str, Any], cameras: Sequence[str], size: Sequence[int]) -> None:
        settings = {key: value for key, value in recipe.items() if key not in ('kind', 'decode_reduction')}
        step, fixed = _KINDS[recipe['kind']]
        self._step = step(**settings, **fixed)
        self._reduction = recipe['decode_reduction']
        self.cameras, self.size = list(cameras), tuple(size)

    def __call__(self, frame: Frame) -> tuple[np.ndarray, Rig]:
        """Images (N, 3, H, W) float32 and the cameras that took them.

        Raises:
            ValueError: The frame lacks a camera, an image is no BGR array, or they come out in another size than the
                network's.
        """
        absent = [name for name in self.cameras if name not in frame.images]
        if absent:
            raise ValueError(
                f'frame {frame.token}: no image of {", ".join(absent)}; the student looks at {self.cameras}'
            )
        images, reduction = self._read(frame)
        step = self._step(dict(images=[images], image_reduction=reduction))
        if step['img'].shape[-2:] != self.size:
            largest = [reduction * max(image.shape[axis] for image in images) for axis in (0, 1)]
            raise ValueError(
                f'frame {frame.token}: images come out as {step["img"].shape[-2:]} (H, W), the student was exported '
                f'for {self.size}: export it with --camera-size {largest[0]} {largest[1]}'
            )
        global2lidar = invert_pose(np.asarray(frame.lidar2global, dtype=np.float64))
        rig = Rig(
            intrins=np.stack([np.asarray(frame.intrinsics[name], dtype=np.float64) for name in self.cameras]),
            post_rots=step['post_rots'][0],
            post_trans=step['post_trans'][0],
            cam2lidar=np.stack([global2lidar @ np.asarray(frame.camera2global[name]) for name in self.cameras]),
        )
        return step['img'][0], rig

    def _read(self, frame):
        """(h, w, 3) images, and how many times smaller than the camera's they are."""
        given = {name: frame.images[name] for name in self.cameras}
        arrays = [name for name, image in given.items() if isinstance(image, np.ndarray)]
        if not arrays:
            return [read_image(path, self._reduction) for path in given.values()], self._reduction
        for name, image in given.items():
            if name not in arrays:
                raise ValueError(f'frame {frame.token}: {arrays[0]} is an array and {name} a path; give all in one way')
            if image.ndim != 3 or image.shape[2] != 3 or image.dtype not in (np.uint8, np.float32):
                raise ValueError(
                    f'frame {frame.token}: the image of {name} is {image.shape} {image.dtype}; a student reads BGR '
                    f'images, (h, w, 3) uint8 or float32 of 0..255'
                )
        return list(given.values()), 1
