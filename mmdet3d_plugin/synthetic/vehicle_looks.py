"""Looks of the vehicles: windows, wheels, lights, ribs, bands and tracks. Lengths and heights are metres."""

from . import materials as m
from .jit import compiled
from .shapes import FRONT, REAR, TOP


@compiled
def _wheel_shade(px, pz, radius):
    """0 tyre, 1 hub, 2 outside, for a point at px, pz (m) from the hub."""
    d = px * px + pz * pz
    if d > radius * radius:
        return 2
    return 1 if d < 0.3 * radius * radius else 0


@compiled
def _side_wheels(x, height, length, front_at, rear_at, radius):
    """Nearest of two axles (shares of the length from the centre) at a point of a vehicle's side."""
    front = _wheel_shade((x - front_at) * length, height - radius, radius)
    rear = _wheel_shade((x - rear_at) * length, height - radius, radius)
    return min(front, rear)


@compiled
def lamp_colour(mat, face, q):
    """White lamps beside a dark grille with a plate, red lamps beside a plate, dark glass."""
    if mat == m.GLASS:
        return 0.12, 0.17, 0.24
    across = abs(q[1] - 0.5)
    if face in (FRONT, REAR) and across < 0.1 and 0.2 < q[2] < 0.8:
        return 0.92, 0.92, 0.88
    if mat == m.REAR_LAMP:
        return 0.95, 0.05, 0.05
    return (0.08, 0.08, 0.09) if face == FRONT and across < 0.22 else (1.0, 0.98, 0.80)


@compiled
def _vehicle_side(height, body, wheels):
    """Colour shared by all vehicles near the ground: wheels and a dark sill; body elsewhere."""
    if wheels == 0:
        return 0.05, 0.05, 0.05
    if wheels == 1:
        return 0.55, 0.56, 0.58
    if height < 0.22:
        return 0.06, 0.06, 0.07
    return body[0], body[1], body[2]


@compiled
def car_colour(mat, face, x, y, height, q, length, first):
    if mat == m.CAR_CABIN:
        if face == TOP or (face != FRONT and face != REAR and (abs(q[0] - 0.5) < 0.03 or q[0] < 0.12)) or q[2] > 0.9:
            return first[0] * 0.9, first[1] * 0.9, first[2] * 0.9
        return 0.12, 0.17, 0.24
    wheels = 2
    if face != FRONT and face != REAR and face != TOP:
        wheels = _side_wheels(x, height, length, 0.30, -0.30, 0.36)
    return _vehicle_side(height, first, wheels)


@compiled
def truck_colour(mat, face, x, y, height, q, length, first, second):
    if mat == m.TRUCK_CAB:
        if face == FRONT and 0.52 < q[2] < 0.88 and abs(q[1] - 0.5) < 0.44:
            return 0.12, 0.17, 0.24
        if face != FRONT and face != REAR and face != TOP and 0.55 < q[2] < 0.88 and 0.25 < q[0] < 0.85:
            return 0.12, 0.17, 0.24
        wheels = 2
        if face != FRONT and face != REAR and face != TOP:
            wheels = _wheel_shade((x - 0.39) * length, height - 0.48, 0.48)
        return _vehicle_side(height, first, wheels)
    if mat == m.CHASSIS:
        wheels = min(
            _side_wheels(x, height, length, -0.18, -0.34, 0.46), _wheel_shade((x + 0.42) * length, height - 0.46, 0.3)
        )
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


@compiled
def bus_colour(face, x, y, height, q, length, first, second):
    if face == TOP:
        return second[0], second[1], second[2]
    if face == FRONT:
        return _vehicle_side(height, first, 2)
    if face == REAR:
        if 0.50 < q[2] < 0.78 and abs(y) < 0.38:
            return 0.12, 0.17, 0.24
        return _vehicle_side(height, first, 2)
    if 0.42 < q[2] < 0.78 and (x * length / 1.4) % 1.0 > 0.14:
        return 0.14, 0.19, 0.27
    if q[2] >= 0.84:
        return second[0], second[1], second[2]
    return _vehicle_side(height, first, _side_wheels(x, height, length, 0.30, -0.27, 0.48))


@compiled
def trailer_colour(face, x, y, height, q, length, first, second):
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


@compiled
def machine_colour(mat, face, x, y, height, q, length, width, first):
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
