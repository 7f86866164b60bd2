"""The ten detection classes: sizes, speeds, categories, attributes and colours.

Sizes follow the published per-class statistics of nuScenes (mean and spread of its boxes), rounded.
"""

from dataclasses import dataclass
from typing import Optional

from dualdistill_runtime.detection_classes import DETECTION_CLASSES

CLASS_NAMES = DETECTION_CLASSES

ATTRIBUTES = (
    'pedestrian.moving', 'pedestrian.standing', 'pedestrian.sitting_lying_down', 'vehicle.moving', 'vehicle.parked',
    'vehicle.stopped', 'cycle.with_rider', 'cycle.without_rider',
)  # fmt: skip


@dataclass(frozen=True)
class ClassSpec:
    """One class.

    ``size`` and ``spread`` are mean and standard deviation of (length, width, height) in metres; ``height_still``
    replaces the mean height when the object does not move (a cycle without its rider is lower). ``speed`` is the
    range in m/s of those that move, a share ``moving`` of all. ``shape`` and ``shape_still`` name the templates.
    ``attribute`` / ``attribute_still`` are '' for classes without one. ``primary`` / ``secondary`` are RGB choices.
    """

    category: str
    size: tuple
    spread: tuple
    speed: tuple
    moving: float
    shape: str
    attribute: str
    attribute_still: str
    primary: tuple
    secondary: tuple
    shape_still: Optional[str] = None
    height_still: Optional[float] = None
    road_aligned: bool = False


_CAR_PAINT = ((0.75, 0.10, 0.10), (0.12, 0.22, 0.70), (0.70, 0.71, 0.73), (0.88, 0.88, 0.88), (0.16, 0.17, 0.20))
_CLOTHES = ((0.80, 0.25, 0.60), (0.85, 0.80, 0.25), (0.30, 0.55, 0.85), (0.85, 0.85, 0.85), (0.55, 0.20, 0.20))
_TROUSERS = ((0.12, 0.13, 0.22), (0.20, 0.18, 0.16), (0.28, 0.30, 0.36))

SPECS = {
    'car': ClassSpec(
        'vehicle.car', (4.6, 1.95, 1.73), (0.30, 0.10, 0.12), (2.0, 6.0), 0.5, 'car', 'vehicle.moving',
        'vehicle.parked', _CAR_PAINT, ((0.10, 0.13, 0.18),), road_aligned=True,
    ),
    'truck': ClassSpec(
        'vehicle.truck', (6.9, 2.5, 2.85), (0.70, 0.15, 0.25), (2.0, 5.0), 0.4, 'truck', 'vehicle.moving',
        'vehicle.parked', ((0.15, 0.30, 0.75), (0.78, 0.15, 0.12), (0.10, 0.45, 0.30)),
        ((0.72, 0.55, 0.36), (0.66, 0.50, 0.30)), road_aligned=True,
    ),
    'construction_vehicle': ClassSpec(
        'vehicle.construction', (6.4, 2.8, 3.2), (0.60, 0.20, 0.25), (0.6, 1.5), 0.2, 'construction_vehicle',
        'vehicle.moving', 'vehicle.parked', ((0.95, 0.72, 0.05), (0.92, 0.65, 0.10)), ((0.10, 0.10, 0.10),),
    ),
    'bus': ClassSpec(
        'vehicle.bus.rigid', (11.0, 2.95, 3.45), (0.70, 0.10, 0.15), (2.0, 5.0), 0.5, 'bus', 'vehicle.moving',
        'vehicle.stopped', ((0.05, 0.60, 0.45), (0.10, 0.68, 0.30), (0.05, 0.50, 0.60)), ((0.92, 0.92, 0.85),),
        road_aligned=True,
    ),
    'trailer': ClassSpec(
        'vehicle.trailer', (12.0, 2.9, 3.85), (1.00, 0.12, 0.20), (2.0, 4.0), 0.25, 'trailer', 'vehicle.moving',
        'vehicle.parked', ((0.86, 0.86, 0.90), (0.80, 0.82, 0.86)), ((0.42, 0.12, 0.62), (0.20, 0.15, 0.60)),
        road_aligned=True,
    ),
    'barrier': ClassSpec(
        'movable_object.barrier', (0.5, 2.5, 0.98), (0.05, 0.18, 0.06), (0.0, 0.0), 0.0, 'barrier', '', '',
        ((0.85, 0.10, 0.10),), ((0.93, 0.93, 0.93),),
    ),
    'motorcycle': ClassSpec(
        'vehicle.motorcycle', (2.1, 0.77, 1.65), (0.12, 0.06, 0.08), (3.0, 6.0), 0.5, 'motorcycle_rider',
        'cycle.with_rider', 'cycle.without_rider', ((0.55, 0.05, 0.08), (0.10, 0.10, 0.12), (0.45, 0.02, 0.30)),
        ((0.14, 0.14, 0.16),), shape_still='motorcycle', height_still=1.25, road_aligned=True,
    ),
    'bicycle': ClassSpec(
        'vehicle.bicycle', (1.7, 0.6, 1.7), (0.10, 0.05, 0.08), (2.0, 4.0), 0.5, 'bicycle_rider', 'cycle.with_rider',
        'cycle.without_rider', ((0.20, 0.85, 0.85), (0.50, 0.90, 0.15)), ((0.75, 0.85, 0.30), (0.85, 0.55, 0.75)),
        shape_still='bicycle', height_still=1.1, road_aligned=True,
    ),
    'pedestrian': ClassSpec(
        'human.pedestrian.adult', (0.73, 0.67, 1.77), (0.07, 0.05, 0.10), (0.8, 1.8), 0.6, 'pedestrian',
        'pedestrian.moving', 'pedestrian.standing', _CLOTHES, _TROUSERS,
    ),
    'traffic_cone': ClassSpec(
        'movable_object.trafficcone', (0.41, 0.41, 1.07), (0.03, 0.03, 0.08), (0.0, 0.0), 0.0, 'traffic_cone', '', '',
        ((1.00, 0.42, 0.05),), ((0.95, 0.95, 0.95),),
    ),
}  # fmt: skip

# Unannotated scenery: template -> (mean size, spread, colour choices).
SCENERY = {
    'building': ((14.0, 8.0, 7.0), (4.0, 2.0, 2.0), ((0.55, 0.42, 0.36), (0.60, 0.58, 0.52), (0.42, 0.44, 0.50))),
    'wall': ((7.0, 0.35, 1.9), (1.5, 0.03, 0.25), ((0.58, 0.55, 0.50), (0.50, 0.38, 0.33))),
    'pole': ((0.28, 0.28, 5.0), (0.03, 0.03, 0.60), ((0.45, 0.46, 0.48),)),
    'tree': ((2.6, 2.6, 4.8), (0.40, 0.40, 0.60), ((0.16, 0.36, 0.12), (0.24, 0.40, 0.14))),
}
