"""Surface materials: numbers shared by the shapes, the camera's shading and the LiDAR's intensity."""

import numpy as np

NAMES = (
    'ground', 'plain', 'secondary', 'car_body', 'car_cabin', 'truck_cab', 'truck_cargo', 'chassis', 'bus', 'trailer',
    'machine', 'track', 'machine_cab', 'barrier', 'cone', 'tyre', 'spoked', 'skin', 'building', 'wall', 'bark', 'leaf',
    'dark', 'front_lamp', 'rear_lamp', 'glass',
)  # fmt: skip

(
    GROUND, PLAIN, SECONDARY, CAR_BODY, CAR_CABIN, TRUCK_CAB, TRUCK_CARGO, CHASSIS, BUS, TRAILER, MACHINE, TRACK,
    MACHINE_CAB, BARRIER, CONE, TYRE, SPOKED, SKIN, BUILDING, WALL, BARK, LEAF, DARK,
    FRONT_LAMP, REAR_LAMP, GLASS,
) = range(len(NAMES))  # fmt: skip

# Mean LiDAR return (0-255) of each material at normal incidence. On the road the fine shape of a vehicle tells a LiDAR
# what it is; objects of a few prisms have none, so here the materials of different classes reflect differently. What is
# red at a back is retroreflective, as the law has it; the lamps of a front return less and its glass next to nothing.
INTENSITY = np.array(
    [10, 40, 40, 45, 45, 95, 95, 20, 145, 200, 245, 235, 240, 150, 245, 90, 170, 40, 22, 26, 18, 12, 12, 120, 255, 8],
    dtype=np.float64,
)
