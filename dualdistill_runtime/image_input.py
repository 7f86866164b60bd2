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
            ValueError: The frame lacks a camera, or its images come out in another size than the network's.
        """
        absent = [name for name in self.cameras if name not in frame.images]
        if absent:
            raise ValueError(
                f'frame {frame.token}: no image of {", ".join(absent)}; the student looks at {self.cameras}'
            )
        given = [frame.images[name] for name in self.cameras]
        paths = not all(isinstance(image, np.ndarray) for image in given)
        images = [read_image(image, self._reduction) for image in given] if paths else given
        step = self._step(dict(images=[images], image_reduction=self._reduction if paths else 1))
        if step['img'].shape[-2:] != self.size:
            raise ValueError(
                f'frame {frame.token}: images come out as {step["img"].shape[-2:]} (H, W), the student was exported '
                f'for {self.size}: export it with --camera-size of these images, {images[0].shape[:2]}'
            )
        global2lidar = invert_pose(np.asarray(frame.lidar2global, dtype=np.float64))
        rig = Rig(
            intrins=np.stack([np.asarray(frame.intrinsics[name], dtype=np.float64) for name in self.cameras]),
            post_rots=step['post_rots'][0],
            post_trans=step['post_trans'][0],
            cam2lidar=np.stack([global2lidar @ np.asarray(frame.camera2global[name]) for name in self.cameras]),
        )
        return step['img'][0], rig
