"""The object templates, and all of them as flat arrays for the compiled ray casters."""

from dataclasses import dataclass

import numpy as np

from . import materials as m
from .shapes import MAX_CORNERS, MAX_PLANES, bar, box, prism, wheel


def _lamps(front, rear):
    """Lamps around the corners and what lies between them, over the whole width: a white front and a red back.

    ``front``, ``rear``: share of the length, lowest and highest share of the height.
    """
    return [
        box(0.5 - front[0], 0.5, -0.5, 0.5, front[1], front[2], m.FRONT_LAMP),
        box(-0.5, -0.5 + rear[0], -0.5, 0.5, rear[1], rear[2], m.REAR_LAMP),
    ]


def _rider(seat, lean):
    """Torso, two legs and head of a rider; ``seat`` is the height of the hips, ``lean`` the way forward of the head."""
    return [
        bar(-0.16, seat + 0.02, 0.16, seat * 0.52, 0.13, 0.12, 0.32, m.SECONDARY),
        bar(-0.16, seat + 0.02, 0.16, seat * 0.52, 0.13, -0.32, -0.12, m.SECONDARY),
        prism([(-0.22, seat), (-0.02, seat), (lean + 0.10, 0.84), (lean - 0.10, 0.84)], -0.36, 0.36, m.PLAIN),
        box(lean - 0.07, lean + 0.07, -0.18, 0.18, 0.85, 1.0, m.SKIN),
    ]


def _motorcycle(rider):
    top = 0.66 if rider else 1.0
    rz = 0.32 / (1.65 if rider else 1.25)
    parts = [
        wheel(-0.35, 0.15, rz, 0.13, m.TYRE),
        wheel(0.35, 0.15, rz, 0.11, m.TYRE),
        prism([(-0.2, 0.25 * top), (0.15, 0.25 * top), (0.2, 0.7 * top), (-0.22, 0.62 * top)], -0.24, 0.24, m.DARK),
        box(-0.05, 0.2, -0.2, 0.2, 0.62 * top, 0.82 * top, m.PLAIN, front=0.06),
        box(-0.46, -0.05, -0.16, 0.16, 0.6 * top, 0.7 * top, m.PLAIN),
        box(-0.5, -0.27, -0.26, 0.26, 0.7 * top, 0.98 * top, m.REAR_LAMP),
        prism([(0.2, 0.55 * top), (0.36, 0.55 * top), (0.24, 0.9 * top), (0.2, 0.9 * top)], -0.22, 0.22, m.FRONT_LAMP),
        bar(0.2, 0.85 * top, 0.36, rz, 0.1 * top, -0.1, 0.1, m.DARK),
        box(0.13, 0.21, -0.5, 0.5, 0.92 * top, top, m.DARK),
    ]
    return parts + (_rider(0.5, 0.02) if rider else [])


def _bicycle(rider):
    top = 0.62 if rider else 1.0
    rz = 0.34 / (1.7 if rider else 1.1)
    parts = [
        wheel(-0.3, 0.2, rz, 0.06, m.SPOKED),
        wheel(0.3, 0.2, rz, 0.06, m.SPOKED),
        bar(-0.12, 0.78 * top, 0.2, 0.82 * top, 0.08 * top, -0.1, 0.1, m.PLAIN),
        bar(-0.02, 0.3 * top, 0.2, 0.8 * top, 0.1 * top, -0.1, 0.1, m.PLAIN),
        bar(-0.3, rz, -0.02, 0.3 * top, 0.08 * top, -0.1, 0.1, m.PLAIN),
        bar(-0.14, 0.85 * top, -0.02, 0.3 * top, 0.1 * top, -0.1, 0.1, m.PLAIN),
        bar(0.19, 0.95 * top, 0.3, rz, 0.1 * top, -0.08, 0.08, m.PLAIN),
        box(-0.2, -0.06, -0.16, 0.16, 0.85 * top, 0.9 * top, m.DARK),
        box(-0.5, -0.24, -0.3, 0.3, 0.42 * top, 0.78 * top, m.REAR_LAMP),
        box(0.28, 0.46, -0.25, 0.25, 0.66 * top, 0.9 * top, m.FRONT_LAMP),
        box(0.14, 0.21, -0.5, 0.5, 0.94 * top, top, m.DARK),
    ]
    return parts + (_rider(0.54, 0.04) if rider else [])


def _pedestrian():
    return [
        bar(0.0, 0.45, 0.33, 0.06, 0.12, 0.04, 0.27, m.SECONDARY),
        bar(-0.33, 0.06, 0.0, 0.45, 0.12, -0.27, -0.04, m.SECONDARY),
        box(0.2, 0.5, 0.04, 0.27, 0.0, 0.06, m.DARK),
        box(-0.45, -0.2, -0.27, -0.04, 0.0, 0.06, m.DARK),
        box(-0.12, 0.26, -0.36, 0.36, 0.45, 0.84, m.PLAIN, side=0.03),
        box(-0.42, -0.12, -0.28, 0.28, 0.5, 0.84, m.REAR_LAMP),  # a rucksack
        bar(-0.5, 0.46, 0.0, 0.78, 0.1, 0.36, 0.5, m.PLAIN),
        bar(0.0, 0.78, 0.42, 0.5, 0.1, -0.5, -0.36, m.PLAIN),
        box(-0.17, 0.17, -0.17, 0.17, 0.85, 1.0, m.SKIN),
    ]


def _construction_vehicle():
    return [
        box(-0.5, 0.18, 0.26, 0.5, 0.0, 0.26, m.TRACK),
        box(-0.5, 0.18, -0.5, -0.26, 0.0, 0.26, m.TRACK),
        box(-0.48, 0.1, -0.44, 0.44, 0.26, 0.58, m.MACHINE, rear=0.05),
        box(-0.16, 0.1, 0.02, 0.44, 0.58, 0.9, m.MACHINE_CAB, front=0.05),
        bar(0.02, 0.5, 0.28, 0.94, 0.12, -0.2, -0.04, m.MACHINE),
        bar(0.28, 0.94, 0.44, 0.35, 0.12, -0.2, -0.04, m.MACHINE),
        box(-0.5, -0.45, -0.44, 0.44, 0.3, 0.48, m.REAR_LAMP),
        prism([(0.32, 0.05), (0.5, 0.0), (0.5, 0.3), (0.36, 0.34)], -0.36, 0.12, m.DARK),
    ]


TEMPLATES = {
    'car': [
        prism([(-0.49, 0.0), (0.49, 0.0), (0.49, 0.38), (0.18, 0.52), (-0.49, 0.56)], -0.49, 0.49, m.CAR_BODY),
        box(-0.48, 0.2, -0.46, 0.46, 0.5, 1.0, m.CAR_CABIN, front=0.18, rear=0.04, side=0.07),
        *_lamps(front=(0.06, 0.2, 0.36), rear=(0.06, 0.32, 0.52)),
    ],
    'truck': [
        box(-0.49, 0.3, -0.46, 0.46, 0.0, 0.3, m.CHASSIS),
        box(0.28, 0.49, -0.48, 0.48, 0.0, 0.78, m.TRUCK_CAB, front=0.05),
        box(-0.49, 0.25, -0.49, 0.49, 0.3, 1.0, m.TRUCK_CARGO),
        *_lamps(front=(0.04, 0.18, 0.3), rear=(0.08, 0.3, 0.6)),
    ],
    'construction_vehicle': _construction_vehicle(),
    'bus': [
        box(-0.49, 0.49, -0.49, 0.49, 0.0, 0.93, m.BUS, front=0.03),
        prism([(0.38, 0.28), (0.5, 0.28), (0.47, 0.94), (0.38, 0.94)], -0.5, 0.5, m.GLASS),
        box(-0.45, -0.15, -0.35, 0.35, 0.93, 1.0, m.DARK),
        *_lamps(front=(0.12, 0.04, 0.28), rear=(0.09, 0.1, 0.5)),
    ],
    'trailer': [
        box(-0.48, 0.2, -0.46, 0.46, 0.0, 0.28, m.CHASSIS),
        box(0.3, 0.36, -0.4, 0.4, 0.0, 0.28, m.DARK),
        box(-0.49, 0.5, -0.49, 0.49, 0.28, 0.5, m.TRAILER),
        box(-0.49, 0.42, -0.49, 0.49, 0.5, 1.0, m.TRAILER),
        box(0.42, 0.49, -0.45, 0.45, 0.5, 0.9, m.DARK),
        box(-0.5, -0.41, -0.5, 0.5, 0.28, 0.6, m.REAR_LAMP),
    ],
    'barrier': [
        box(-0.5, 0.5, -0.5, 0.5, 0.0, 0.16, m.DARK),
        box(0.0, 0.3, -0.5, 0.5, 0.16, 1.0, m.BARRIER, front=0.2),
        box(-0.2, 0.0, -0.5, 0.5, 0.16, 1.0, m.DARK),
    ],
    'motorcycle': _motorcycle(False),
    'motorcycle_rider': _motorcycle(True),
    'bicycle': _bicycle(False),
    'bicycle_rider': _bicycle(True),
    'pedestrian': _pedestrian(),
    'traffic_cone': [
        box(-0.5, 0.5, -0.5, 0.5, 0.0, 0.06, m.DARK),
        box(-0.38, 0.38, -0.38, 0.38, 0.06, 1.0, m.CONE, front=0.28, rear=0.28, side=0.28),
    ],
    'building': [box(-0.5, 0.5, -0.5, 0.5, 0.0, 1.0, m.BUILDING)],
    'wall': [box(-0.5, 0.5, -0.5, 0.5, 0.0, 1.0, m.WALL)],
    'pole': [box(-0.5, 0.5, -0.5, 0.5, 0.0, 1.0, m.PLAIN)],
    'tree': [
        box(-0.07, 0.07, -0.07, 0.07, 0.0, 0.5, m.BARK),
        box(-0.5, 0.5, -0.5, 0.5, 0.45, 1.0, m.LEAF, front=0.2, rear=0.2, side=0.2),
    ],
}
TEMPLATE_NAMES = tuple(TEMPLATES)


@dataclass(frozen=True)
class ShapeTable:
    """All templates as flat arrays for the compiled ray casters.

    ``first`` (T+1,): parts first[t]..first[t+1] belong to template t; ``planes`` (P, MAX_PLANES, 4), ``n_planes``
    (P,), ``kinds`` (P, MAX_PLANES), ``corners`` (P, MAX_CORNERS, 3), ``n_corners`` (P,), ``material`` (P,), and
    ``lo`` / ``hi`` (P, 3), the bounds of each part. All coordinates are normalised by the object's size.
    """

    first: np.ndarray
    planes: np.ndarray
    n_planes: np.ndarray
    kinds: np.ndarray
    corners: np.ndarray
    n_corners: np.ndarray
    material: np.ndarray
    lo: np.ndarray
    hi: np.ndarray

    @classmethod
    def build(cls):
        parts = [part for group in TEMPLATES.values() for part in group]
        count = len(parts)
        table = cls(
            first=np.cumsum([0] + [len(group) for group in TEMPLATES.values()]).astype(np.int64),
            planes=np.zeros((count, MAX_PLANES, 4)),
            n_planes=np.array([len(p.planes) for p in parts], dtype=np.int64),
            kinds=np.zeros((count, MAX_PLANES), dtype=np.int64),
            corners=np.zeros((count, MAX_CORNERS, 3)),
            n_corners=np.array([len(p.corners) for p in parts], dtype=np.int64),
            material=np.array([p.material for p in parts], dtype=np.int64),
            lo=np.stack([p.corners.min(0) for p in parts]),
            hi=np.stack([p.corners.max(0) for p in parts]),
        )
        for i, part in enumerate(parts):
            table.planes[i, : len(part.planes)] = part.planes
            table.kinds[i, : len(part.planes)] = part.kinds
            table.corners[i, : len(part.corners)] = part.corners
        return table


SHAPES = ShapeTable.build()
