"""What the exported students of all families have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from .decoders import decoder_of
from .frame import Frame
from .grid import Grid
from .image_input import ImageInput
from .model_file import ModelFile


class Remembered(Protocol):
    """A moment that has been looked at: its time (s) and its map (C, rows, columns)."""

    @property
    def timestamp(self) -> float: ...

    @property
    def bev(self) -> np.ndarray: ...


class Student:
    """A file with what it takes to feed it and to read its answer.

    Args:
        model: The file.
        image_size: (H, W) of the network's images, pixels.
        grid: Of its map.

    Attributes:
        model: The file.
        classes: Names of the labels.
        images: Makes the network's input of a moment, see :class:`ImageInput`.
    """

    def __init__(self, model: ModelFile, image_size: Sequence[int], grid: Grid) -> None:
        facts = model.facts
        self.model = model
        self.classes = facts['classes']
        self.images = ImageInput(facts['image'], facts['cameras'], image_size)
        self._decode = decoder_of(facts['head'])
        self._remembers, self._map = facts['remembers'], (facts['bev_channels'], grid.height, grid.width)

    def feed(self, images: np.ndarray, rigs: list, frames: list, earlier: list) -> dict[str, np.ndarray]:
        """Inputs of the graph for several moments, as each family has them."""
        raise NotImplementedError

    def _answer(self, frame: Frame, earlier: Any) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """The head's outputs for one moment in the light of an earlier one, and the moment's map."""
        images, rig = self.images(frame)
        outputs = self.model.run(self.feed(images[None], [rig], [frame], [earlier]))
        mine = {name: value[0] for name, value in outputs.items()}
        bev = mine.pop('bev')
        return mine, bev

    def _maps_before(self, earlier: Sequence[Remembered | None]) -> dict[str, np.ndarray]:
        """Inputs ``previous_bev`` (B, C, rows, columns), zeros where there is none, and ``has_previous`` (B,)."""
        nothing = np.zeros(self._map, dtype=np.float32)
        return dict(
            previous_bev=np.stack([nothing if one is None else one.bev for one in earlier]),
            has_previous=np.array([one is not None for one in earlier]),
        )
