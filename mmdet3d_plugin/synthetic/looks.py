"""Looks of the materials: base colour of a surface point, before light and haze.

Every class has patterns of its own (windows, wheels, ribs, stripes, tracks) on top of its base colours, so that the
classes can be told apart by appearance and not by size alone. Heights and lengths in patterns are metres.
"""

import numpy as np

from . import materials as m
from .jit import compiled
from .raycast import cell_noise
from .shapes import BOTTOM, TOP
from .vehicle_looks import bus_colour, car_colour, lamp_colour, machine_colour, trailer_colour, truck_colour


@compiled
def _street_furniture(mat, face, x, y, height, q, width, first, second):
    if mat == m.BARRIER:
        band = (y * width + height) % 0.9 < 0.45
        return (first[0], first[1], first[2]) if band else (second[0], second[1], second[2])
    white = 0.30 < q[2] < 0.48 or 0.66 < q[2] < 0.82
    return (second[0], second[1], second[2]) if white else (first[0], first[1], first[2])


@compiled
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


@compiled
def surface_colour(mat, face, p, q, size, first, second, seed):
    """RGB in [0, 1] of a surface point.

    Triples are tuples: ``p`` normalised object coordinates, ``q`` the same within the part ([0, 1]), ``size`` l, w, h
    (m), ``first`` / ``second`` the instance's colours. ``face`` is one of shapes.FRONT...
    """
    x, y, height, length, width = p[0], p[1], p[2] * size[2], size[0], size[1]
    if face == BOTTOM or mat == m.DARK:
        return 0.07, 0.07, 0.08
    if mat == m.FRONT_LAMP or mat == m.REAR_LAMP or mat == m.GLASS:
        return lamp_colour(mat, face, q)
    if mat == m.CAR_BODY or mat == m.CAR_CABIN:
        return car_colour(mat, face, x, y, height, q, length, first)
    if mat == m.TRUCK_CAB or mat == m.TRUCK_CARGO or mat == m.CHASSIS:
        return truck_colour(mat, face, x, y, height, q, length, first, second)
    if mat == m.BUS:
        return bus_colour(face, x, y, height, q, length, first, second)
    if mat == m.TRAILER:
        return trailer_colour(face, x, y, height, q, length, first, second)
    if mat == m.MACHINE or mat == m.TRACK or mat == m.MACHINE_CAB:
        return machine_colour(mat, face, x, y, height, q, length, width, first)
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


@compiled
def ground_colour(wx, wy, distance, base, seed):
    """RGB of the ground at world wx, wy (m): two scales of grain and faint 5 m slabs, both fading with distance."""
    fade = 1.0 / (1.0 + 0.08 * distance)
    grain = cell_noise(wx * 1.3, wy * 1.3, seed) - 0.5 + fade * (cell_noise(wx * 8.0, wy * 8.0, seed + 7) - 0.5)
    shade = 1.0 + 0.22 * fade * grain
    if min((wx / 5.0) % 1.0, (wy / 5.0) % 1.0) < 0.02:
        shade += 0.35 * fade
    return base[0] * shade, base[1] * shade, base[2] * shade
