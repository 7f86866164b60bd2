"""An exported BEVDepth4D: images of a moment, and the map of an earlier one, -> boxes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .cameras import LONE_FRAME_DT
from .detections import Detections
from .frame import Frame
from .grid import Grid, places_in_previous
from .lift_plan import Frustum
from .model_file import ModelFile
from .rig import Rig
from .stacked_plans import stack_plans
from .student import Student

LONGEST_MEMORY = 3.0  # s, unless an older moment is asked for; students learn from frames up to 2.25 s old


class EarlierFrame(NamedTuple):
    """A moment that has been looked at: its scene, time (s), pose and map (C, rows, columns)."""

    scene: str
    timestamp: float
    lidar2global: np.ndarray
    bev: np.ndarray


class LiftSplatDetector(Student):
    """Detects in one moment after the other, and remembers.

    Args:
        model: The student.

    Attributes: see :class:`Student`.
    """

    def __init__(self, model: ModelFile) -> None:
        frustum = model.facts['frustum']
        self._frustum = Frustum(**dict(frustum, grid=Grid(*frustum['grid'])))
        super().__init__(model, frustum['image_size'], self._frustum.grid)
        self._earlier: list[EarlierFrame] = []

    def reset(self) -> None:
        """Forget all moments."""
        self._earlier = []

    def look(self, frame: Frame, age: float | None = None) -> Detections:
        """Boxes of a moment, which is remembered.

        Args:
            frame: The moment.
            age: Of the remembered moment to compare with, seconds: the one nearest to it, up to twice as old or
                ``LONGEST_MEMORY``. None takes the latest.
        """
        outputs, earlier = self._run(frame, age)
        return self._decode(outputs, _seconds(frame.timestamp, earlier))

    def glance(self, frame: Frame) -> None:
        """Remember a moment whose boxes nobody wants."""
        self._run(frame, None)

    def _run(self, frame, age):
        """Outputs of a moment, which is remembered, and the moment that it was compared with."""
        earlier = self._recall(frame, age)
        outputs, bev = self._answer(frame, earlier)
        self._store(self.remembered(frame, bev))
        return outputs, earlier

    @staticmethod
    def remembered(frame: Frame, bev: np.ndarray) -> EarlierFrame:
        """A moment with its map (C, rows, columns), as :meth:`feed` takes it for a later one."""
        return EarlierFrame(frame.scene, frame.timestamp, np.asarray(frame.lidar2global), bev)

    def feed(
        self, images: np.ndarray, rigs: list[Rig], frames: list[Frame], earlier: list[EarlierFrame | None]
    ) -> dict[str, np.ndarray]:
        """Inputs of the graph for B moments.

        Args:
            images: (B, N, 3, H, W).
            rigs: Cameras of each.
            frames: The moments, of which pose and time are read.
            earlier: The remembered moment of each; None where there is none.
        """
        plans = stack_plans([self._frustum.plan(rig) for rig in rigs], self._frustum.steps(len(rigs[0].intrins)))
        feed = dict(images=images, camera_numbers=np.stack([rig.flat_numbers() for rig in rigs]), **plans)
        places = []
        for frame, one in zip(frames, earlier):
            motion = np.eye(4) if one is None else np.linalg.solve(frame.lidar2global, one.lidar2global)
            places.append(places_in_previous(motion, self._frustum.grid))
        feed.update(self._maps_before(earlier), previous_places=np.stack(places))
        seconds = [_seconds(frame.timestamp, one) for frame, one in zip(frames, earlier)]
        return dict(feed, seconds=np.array(seconds, dtype=np.float32))

    def _recall(self, frame, age):
        known = self._since(frame, max(LONGEST_MEMORY, 2 * (age or 0.0)))
        if not known or not self._remembers:
            return None
        return known[-1] if age is None else min(known, key=lambda one: abs(frame.timestamp - one.timestamp - age))

    def _store(self, frame):
        self._earlier = [*self._since(frame, LONGEST_MEMORY), frame]

    def _since(self, frame, seconds):
        """Remembered moments of a scene, at most so many seconds before another moment."""
        return [
            one for one in self._earlier if one.scene == frame.scene and 0 < frame.timestamp - one.timestamp <= seconds
        ]


def _seconds(timestamp, earlier):
    return LONE_FRAME_DT if earlier is None else timestamp - earlier.timestamp
