"""Surface materials: numbers shared by the shapes, the camera's shading and the LiDAR's intensity."""

import numpy as np

NAMES = (
    'ground', 'plain', 'secondary', 'car_body', 'car_cabin', 'truck_cab', 'truck_cargo', 'chassis', 'bus', 'trailer',
    'machine', 'track', 'machine_cab', 'barrier', 'cone', 'tyre', 'spoked', 'skin', 'building', 'wall', 'bark', 'leaf',
    'dark',
)  # fmt: skip

(
    GROUND, PLAIN, SECONDARY, CAR_BODY, CAR_CABIN, TRUCK_CAB, TRUCK_CARGO, CHASSIS, BUS, TRAILER, MACHINE, TRACK,
    MACHINE_CAB, BARRIER, CONE, TYRE, SPOKED, SKIN, BUILDING, WALL, BARK, LEAF, DARK,
) = range(len(NAMES))  # fmt: skip

# Mean LiDAR return (0-255) of each material at normal incidence: paint and metal return more than cloth or rubber,
# reflective bands of barriers and cones the most.
INTENSITY = np.array(
    [14, 40, 25, 45, 30, 45, 55, 20, 50, 70, 60, 18, 35, 130, 160, 10, 25, 20, 22, 26, 18, 12, 12], dtype=np.float64
)
