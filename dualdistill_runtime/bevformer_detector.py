"""An exported BEVFormer: images of a moment, and the map of the moment before, -> boxes."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .cameras import LONE_FRAME_DT
from .detections import Detections
from .frame import Frame
from .frame_order import follows
from .grid import Grid, places_in_previous, turned_places
from .model_file import ModelFile
from .pillar_plan import Pillars
from .poses import quaternion_of
from .rig import Rig
from .stacked_plans import stack_plans
from .student import Student

TRANSLATION, QUATERNION, MEASURED, YAW, YAW_CHANGE = slice(0, 3), slice(3, 7), slice(7, 16), 16, 17


class EarlierFrame(NamedTuple):
    """The moment before: scene, time (s), poses and map (C, rows, columns)."""

    scene: str
    timestamp: float
    ego2global: np.ndarray | None
    lidar2global: np.ndarray
    bev: np.ndarray


class BEVFormerDetector(Student):
    """Detects in one moment after the other. A new scene, a gap of more than a second or a step back starts anew.

    Args:
        model: The student.

    Attributes: see :class:`Student`.
    """

    def __init__(self, model: ModelFile) -> None:
        pillars = model.facts['pillars']
        self._pillars = Pillars(**dict(pillars, grid=Grid(*pillars['grid'])))
        super().__init__(model, pillars['image_size'], self._pillars.grid)
        self._alignment = model.facts['alignment']
        self._motion = model.facts.get('motion') or {}
        self._reads_motion = bool(self._motion) or self._alignment == 'released'
        self._earlier: EarlierFrame | None = None

    def reset(self) -> None:
        """Forget the moment before."""
        self._earlier = None

    def look(self, frame: Frame) -> Detections:
        """Boxes of a moment, which is remembered."""
        before = self._recall(frame)
        outputs, bev = self._answer(frame, before)
        self._earlier = self.remembered(frame, bev)
        return self._decode(outputs, _seconds(frame, before))

    @staticmethod
    def remembered(frame: Frame, bev: np.ndarray) -> EarlierFrame:
        """A moment with its map (C, rows, columns), as :meth:`feed` takes it for the next one."""
        return EarlierFrame(frame.scene, frame.timestamp, frame.ego2global, np.asarray(frame.lidar2global), bev)

    def feed(
        self, images: np.ndarray, rigs: list[Rig], frames: list[Frame], earlier: list[EarlierFrame | None]
    ) -> dict[str, np.ndarray]:
        """Inputs of the graph for B moments.

        Args:
            images: (B, N, 3, H, W).
            rigs: Cameras of each.
            frames: The moments, of which poses and motion are read.
            earlier: The moment before each; None where there is none.

        Raises:
            ValueError: The student reads the motion of the car, and a moment has no ``ego2global``.
        """
        plans = stack_plans([self._pillars.plan(rig) for rig in rigs], self._pillars.steps(len(rigs[0].intrins)))
        feed = dict(images=images, **plans)
        vectors = [self._vector(frame, one) for frame, one in zip(frames, earlier)]
        places, shifts = zip(*(self._aligned(*moment) for moment in zip(frames, earlier, vectors)))
        feed.update(self._maps_before(earlier), previous_places=np.stack(places))
        feed.update(previous_shift=np.stack(shifts), can_bus=np.stack(vectors).astype(np.float32))
        return dict(feed, seconds=np.array([_seconds(*pair) for pair in zip(frames, earlier)], dtype=np.float32))

    def _vector(self, frame, before):
        """(18,) motion vector: what was measured, and the motion since the moment before."""
        vector = np.zeros(18)
        if not self._reads_motion:
            return vector
        if frame.ego2global is None:
            raise ValueError(f'frame {frame.token}: this student reads the motion of the car: give ego2global')
        if frame.motion is not None and len(frame.motion) == 18:
            vector[:] = frame.motion
        else:
            quaternion = quaternion_of(frame.ego2global[:3, :3])
            vector[QUATERNION] = quaternion[0] if self._motion.get('quaternion') == 'w' else quaternion
            vector[MEASURED] = 0 if frame.motion is None else frame.motion
            vector[YAW] = math.atan2(frame.ego2global[1, 0], frame.ego2global[0, 0]) % (2 * math.pi)
        vector[TRANSLATION], vector[YAW_CHANGE] = 0, 0
        if before is not None:
            vector[TRANSLATION] = frame.ego2global[:3, 3] - before.ego2global[:3, 3]
            vector[YAW_CHANGE] = self._turn(frame.ego2global, before.ego2global)
        return vector

    def _turn(self, now, before):
        yaws = [math.degrees(math.atan2(pose[1, 0], pose[0, 0])) % 360 for pose in (now, before)]
        change = yaws[0] - yaws[1]
        return 180 - (180 - change) % 360 if self._motion.get('wrap_yaw', True) else change

    def _aligned(self, frame, before, vector):
        """Where the current cells lie in the map before (rows, columns, 2), and the shift of references (2,)."""
        grid, still = self._pillars.grid, np.zeros(2, dtype=np.float32)
        if self._alignment == 'warp':
            motion = np.eye(4) if before is None else np.linalg.solve(frame.lidar2global, before.lidar2global)
            return places_in_previous(motion, grid), still
        if before is None:
            return turned_places(0.0, grid), still
        cos, sin = math.cos(vector[YAW]), math.sin(vector[YAW])
        metres = np.array([sin * vector[0] - cos * vector[1], cos * vector[0] + sin * vector[1]])
        extent = np.array([grid.x_max - grid.x_min, grid.y_max - grid.y_min])
        return turned_places(vector[YAW_CHANGE], grid), (metres / extent).astype(np.float32)

    def _recall(self, frame):
        before = self._earlier
        known = before is not None and self._remembers and before.scene == frame.scene
        return before if known and follows(frame.timestamp - before.timestamp) else None


def _seconds(frame, before):
    return LONE_FRAME_DT if before is None else frame.timestamp - before.timestamp
