"""Looks of the materials: base colour of a surface point, before light and haze.

Every class has patterns of its own (windows, wheels, ribs, stripes, tracks) on top of its base colours, so that the
classes can be told apart by appearance and not by size alone. Heights and lengths in patterns are metres.
"""

import numpy as np
from numba import njit

from . import materials as m
from .raycast import cell_noise
from .shapes import BOTTOM, FRONT, REAR, TOP


@njit(cache=True)
def _wheel_shade(px, pz, radius):
    """0 tyre, 1 hub, 2 outside, for a point at px, pz (m) from the hub."""
    d = px * px + pz * pz
    if d > radius * radius:
        return 2
    return 1 if d < 0.3 * radius * radius else 0


@njit(cache=True)
def _side_wheels(x, height, length, front_at, rear_at, radius):
    """Nearest of two axles (shares of the length from the centre) at a point of a vehicle's side."""
    front = _wheel_shade((x - front_at) * length, height - radius, radius)
    rear = _wheel_shade((x - rear_at) * length, height - radius, radius)
    return min(front, rear)


@njit(cache=True)
def _vehicle_side(face, x, y, height, length, body, wheels):
    """Colour shared by all vehicles near the ground: wheels, dark sill, head and tail lights; body elsewhere."""
    if face == FRONT and abs(y) > 0.28 and abs(height - 0.72) < 0.13:
        return 1.0, 0.98, 0.80
    if face == REAR and abs(y) > 0.30 and abs(height - 0.80) < 0.13:
        return 0.95, 0.05, 0.05
    if face == FRONT and abs(y) < 0.28 and abs(height - 0.50) < 0.14:
        return 0.08, 0.08, 0.09
    if wheels == 0:
        return 0.05, 0.05, 0.05
    if wheels == 1:
        return 0.55, 0.56, 0.58
    if height < 0.22:
        return 0.06, 0.06, 0.07
    return body[0], body[1], body[2]


@njit(cache=True)
def _car(mat, face, x, y, height, q, length, first):
    if mat == m.CAR_CABIN:
        if face == TOP or (face != FRONT and face != REAR and (abs(q[0] - 0.5) < 0.03 or q[0] < 0.12)) or q[2] > 0.9:
            return first[0] * 0.9, first[1] * 0.9, first[2] * 0.9
        return 0.12, 0.17, 0.24
    wheels = 2
    if face != FRONT and face != REAR and face != TOP:
        wheels = _side_wheels(x, height, length, 0.30, -0.30, 0.36)
    return _vehicle_side(face, x, y, height, length, first, wheels)


@njit(cache=True)
def _truck(mat, face, x, y, height, q, length, first, second):
    if mat == m.TRUCK_CAB:
        if face == FRONT and 0.52 < q[2] < 0.88 and abs(q[1] - 0.5) < 0.44:
            return 0.12, 0.17, 0.24
        if face != FRONT and face != REAR and face != TOP and 0.55 < q[2] < 0.88 and 0.25 < q[0] < 0.85:
            return 0.12, 0.17, 0.24
        wheels = 2
        if face != FRONT and face != REAR and face != TOP:
            wheels = _wheel_shade((x - 0.39) * length, height - 0.48, 0.48)
        return _vehicle_side(face, x, y, height, length, first, wheels)
    if mat == m.CHASSIS:
        wheels = min(
            _side_wheels(x, height, length, -0.18, -0.34, 0.46), _wheel_shade((x + 0.42) * length, height - 0.46, 0.3)
        )
        if face == REAR and abs(y) > 0.3 and height > 0.5:
            return 0.9, 0.05, 0.05
        if wheels == 1:
            return 0.5, 0.5, 0.5
        return (0.05, 0.05, 0.05) if wheels == 0 else (0.16, 0.15, 0.15)
    shade = 1.0
    if face == REAR:
        shade = 0.6 if abs(y) < 0.025 else 0.92
    elif face != TOP:
        # Upright ribs, 0.7 m apart, tell a cargo box from a bus or a trailer.
        shade = 0.72 if (x * length / 0.7) % 1.0 < 0.35 else 1.0
    return second[0] * shade, second[1] * shade, second[2] * shade


@njit(cache=True)
def _bus(face, x, y, height, q, length, first, second):
    if face == TOP:
        return second[0], second[1], second[2]
    if face == FRONT:
        if 0.30 < q[2] < 0.80 and abs(y) < 0.45:
            return 0.12, 0.17, 0.24
        if 0.84 < q[2] < 0.95 and abs(y) < 0.35:
            return 0.95, 0.75, 0.10
        return _vehicle_side(face, x, y, height, length, first, 2)
    if face == REAR:
        if 0.50 < q[2] < 0.78 and abs(y) < 0.38:
            return 0.12, 0.17, 0.24
        return _vehicle_side(face, x, y, height, length, first, 2)
    if 0.42 < q[2] < 0.78 and (x * length / 1.4) % 1.0 > 0.14:
        return 0.14, 0.19, 0.27
    if q[2] >= 0.84:
        return second[0], second[1], second[2]
    return _vehicle_side(face, x, y, height, length, first, _side_wheels(x, height, length, 0.30, -0.27, 0.48))


@njit(cache=True)
def _trailer(face, x, y, height, q, length, first, second):
    if face == TOP:
        return first[0], first[1], first[2]
    if q[2] < 0.10:
        red = ((x if face != FRONT and face != REAR else y * 0.25) * length / 0.6) % 1.0 < 0.5
        return (0.90, 0.10, 0.10) if red else (0.95, 0.95, 0.95)
    if face == REAR and abs(y) < 0.02:
        return 0.3, 0.3, 0.3
    # One broad slanted band over a pale box.
    along = x * length if face != FRONT and face != REAR else y * 2.5
    if abs((along + height) % 6.0 - 3.0) < 0.75:
        return second[0], second[1], second[2]
    return first[0], first[1], first[2]


@njit(cache=True)
def _machine(mat, face, x, y, height, q, length, width, first):
    if mat == m.TRACK:
        if face != TOP and face != FRONT and face != REAR and abs((q[0] * 5.0) % 1.0 - 0.5) < 0.3 and 0.2 < q[2] < 0.75:
            return 0.42, 0.38, 0.28
        stripe = (x * length / 0.3) % 1.0 < 0.5
        return (0.05, 0.05, 0.05) if stripe else (0.14, 0.13, 0.12)
    if mat == m.MACHINE_CAB:
        if face != TOP and 0.25 < q[2] < 0.88 and 0.12 < q[0] < 0.88:
            return 0.20, 0.26, 0.30
        return first[0], first[1], first[2]
    if (face == REAR or q[2] < 0.3) and (y * width + height) % 0.8 < 0.4 and mat == m.MACHINE and q[0] < 0.6:
        return 0.06, 0.06, 0.06
    return first[0], first[1], first[2]


@njit(cache=True)
def _street_furniture(mat, face, x, y, height, q, width, first, second):
    if mat == m.BARRIER:
        band = (y * width + height) % 0.9 < 0.45
        return (first[0], first[1], first[2]) if band else (second[0], second[1], second[2])
    white = 0.30 < q[2] < 0.48 or 0.66 < q[2] < 0.82
    return (second[0], second[1], second[2]) if white else (first[0], first[1], first[2])


@njit(cache=True)
def _scenery(mat, face, px, py, height, first, seed):
    """Windows, bricks, bark and leaves; px, py metres along the object."""
    if mat == m.BUILDING:
        along = px + py
        if face != TOP and (along / 2.2) % 1.0 < 0.45 and (height / 2.6) % 1.0 > 0.45:
            return 0.22, 0.25, 0.30
        shade = 0.9 + 0.2 * cell_noise(along * 0.5, height * 0.8, seed)
    elif mat == m.WALL:
        row = np.floor(height / 0.25)
        mortar = (height / 0.25) % 1.0 < 0.12 or ((px + py) / 0.5 + 0.5 * (row % 2)) % 1.0 < 0.06
        shade = 1.2 if mortar else 0.85 + 0.25 * cell_noise((px + py) * 2.0 + 0.5 * (row % 2), height * 4.0, seed)
    else:
        shade = 0.65 + 0.6 * cell_noise(px * 4.0 + py * 2.0, height * 4.0 + py * 3.0, seed)
    return first[0] * shade, first[1] * shade, first[2] * shade


@njit(cache=True)
def surface_colour(mat, face, p, q, size, first, second, seed):
    """RGB in [0, 1] of a surface point.

    ``p`` (3,) normalised object coordinates, ``q`` (3,) the same within the part ([0, 1]), ``size`` (3,) l, w, h (m),
    ``face`` one of shapes.FRONT.., ``first`` / ``second`` (3,) the instance's colours.
    """
    x, y, height, length, width = p[0], p[1], p[2] * size[2], size[0], size[1]
    if face == BOTTOM or mat == m.DARK:
        return 0.07, 0.07, 0.08
    if mat == m.CAR_BODY or mat == m.CAR_CABIN:
        return _car(mat, face, x, y, height, q, length, first)
    if mat == m.TRUCK_CAB or mat == m.TRUCK_CARGO or mat == m.CHASSIS:
        return _truck(mat, face, x, y, height, q, length, first, second)
    if mat == m.BUS:
        return _bus(face, x, y, height, q, length, first, second)
    if mat == m.TRAILER:
        return _trailer(face, x, y, height, q, length, first, second)
    if mat == m.MACHINE or mat == m.TRACK or mat == m.MACHINE_CAB:
        return _machine(mat, face, x, y, height, q, length, width, first)
    if mat == m.BARRIER or mat == m.CONE:
        return _street_furniture(mat, face, x, y, height, q, width, first, second)
    if mat == m.TYRE or mat == m.SPOKED:
        d = (q[0] - 0.5) ** 2 + (q[2] - 0.5) ** 2
        if mat == m.SPOKED:
            return (0.07, 0.07, 0.07) if d > 0.16 else (0.62, 0.64, 0.66)
        return (0.05, 0.05, 0.05) if d > 0.07 else (0.35, 0.35, 0.37)
    if mat == m.SKIN:
        return (0.20, 0.14, 0.10) if q[2] > 0.7 else (0.86, 0.66, 0.54)
    if mat >= m.BUILDING and mat <= m.LEAF:
        base = first
        if mat == m.BARK:
            return 0.30, 0.21, 0.14
        return _scenery(mat, face, x * length, y * width, height, base, seed)
    if mat == m.SECONDARY:
        return second[0], second[1], second[2]
    return first[0], first[1], first[2]


@njit(cache=True)
def ground_colour(wx, wy, distance, base, seed):
    """RGB of the ground at world wx, wy (m): two scales of grain and faint 5 m slabs, both fading with distance."""
    fade = 1.0 / (1.0 + 0.08 * distance)
    grain = cell_noise(wx * 1.3, wy * 1.3, seed) - 0.5 + fade * (cell_noise(wx * 8.0, wy * 8.0, seed + 7) - 0.5)
    shade = 1.0 + 0.22 * fade * grain
    if min((wx / 5.0) % 1.0, (wy / 5.0) % 1.0) < 0.02:
        shade += 0.35 * fade
    return base[0] * shade, base[1] * shade, base[2] * shade
