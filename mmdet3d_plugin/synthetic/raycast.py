"""Compiled geometry shared by the camera and the LiDAR: rays against convex parts in object coordinates."""

import numpy as np

from .jit import compiled
from .shapes import MAX_PLANES

_NEAR = 0.05


@compiled
def world_to_unit(obj, rotation, origin, linear, offset):
    """Map of sensor coordinates into an object's normalised coordinates.

    ``obj`` (8,) as in World.objects_at, ``rotation`` (3, 3) sensor -> world, ``origin`` (3,) sensor position (m).
    Writes ``linear`` (3, 3) and ``offset`` (3,): unit = linear @ (sensor coordinates) + offset.
    """
    c, s = np.cos(obj[3]), np.sin(obj[3])
    dx, dy, dz = origin[0] - obj[0], origin[1] - obj[1], origin[2] - obj[2]
    for k in range(3):
        linear[0, k] = (c * rotation[0, k] + s * rotation[1, k]) / obj[4]
        linear[1, k] = (-s * rotation[0, k] + c * rotation[1, k]) / obj[5]
        linear[2, k] = rotation[2, k] / obj[6]
    offset[0] = (c * dx + s * dy) / obj[4]
    offset[1] = (-s * dx + c * dy) / obj[5]
    offset[2] = dz / obj[6]


@compiled
def corner_in_sensor(obj, corner, rotation, origin, out):
    """Sensor coordinates (m) of a normalised corner of an object; inverse of :func:`world_to_unit`."""
    c, s = np.cos(obj[3]), np.sin(obj[3])
    x, y, z = corner[0] * obj[4], corner[1] * obj[5], corner[2] * obj[6]
    wx = c * x - s * y + obj[0] - origin[0]
    wy = s * x + c * y + obj[1] - origin[1]
    wz = z + obj[2] - origin[2]
    for k in range(3):
        out[k] = rotation[0, k] * wx + rotation[1, k] * wy + rotation[2, k] * wz


@compiled
def facing_planes(planes, n_planes, offset, gap, front):
    """Distances c - n.o of the ray origin to each plane, and whether the origin is outside; False if inside all."""
    outside = False
    for p in range(n_planes):
        gap[p] = planes[p, 3] - planes[p, 0] * offset[0] - planes[p, 1] * offset[1] - planes[p, 2] * offset[2]
        front[p] = gap[p] < 0.0
        outside = outside or front[p]
    return outside


@compiled
def enter_part(planes, n_planes, gap, front, dx, dy, dz):
    """Ray parameter at which a ray from outside enters a convex part and the plane it enters by; (-1, -1) on a miss."""
    t_in, t_out, entry = 0.0, np.inf, -1
    for p in range(n_planes):
        speed = planes[p, 0] * dx + planes[p, 1] * dy + planes[p, 2] * dz
        if front[p]:
            if speed >= -1e-12:
                return -1.0, -1
            t = gap[p] / speed
            if t > t_in:
                t_in, entry = t, p
        elif speed > 1e-12:
            t_out = min(t_out, gap[p] / speed)
    if entry < 0 or t_in >= t_out:
        return -1.0, -1
    return t_in, entry


@compiled
def scratch():
    """Work arrays of one caster call: linear, offset, gap, front, corner."""
    return (
        np.empty((3, 3)),
        np.empty(3),
        np.empty(MAX_PLANES),
        np.zeros(MAX_PLANES, dtype=np.bool_),
        np.empty(3),
    )


@compiled
def mix(value):
    """64-bit integer hash (the splitmix64 finaliser): the source of all per-pixel randomness."""
    x = np.uint64(value)
    x ^= x >> np.uint64(30)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return x


@compiled
def cell_noise(x, y, seed):
    """Uniform [0, 1) value of the integer cell that holds (x, y)."""
    ix, iy = np.int64(np.floor(x)), np.int64(np.floor(y))
    key = mix(np.uint64(ix * 73856093 + 12345) ^ mix(np.uint64(iy * 19349663 + seed)))
    return np.float64(key >> np.uint64(40)) / 16777216.0


@compiled
def screen_window(points, count, fx, fy, cx, cy, width, height):
    """Pixel rectangle (u0, u1, v0, v1; exclusive ends) that holds the projection of the points' hull; empty if behind.

    Points are (count, 3) in the camera frame. Hull edges that cross the near plane are cut there.
    """
    u_low, u_high, v_low, v_high = np.inf, -np.inf, np.inf, -np.inf
    for i in range(count):
        for j in range(i, count):
            zi, zj = points[i, 2], points[j, 2]
            if j == i:
                if zi < _NEAR:
                    continue
                x, y, z = points[i, 0], points[i, 1], zi
            else:
                if (zi < _NEAR) == (zj < _NEAR):
                    continue
                s = (_NEAR - zi) / (zj - zi)
                x = points[i, 0] + s * (points[j, 0] - points[i, 0])
                y = points[i, 1] + s * (points[j, 1] - points[i, 1])
                z = _NEAR
            u, v = fx * x / z + cx, fy * y / z + cy
            u_low, u_high = min(u_low, u), max(u_high, u)
            v_low, v_high = min(v_low, v), max(v_high, v)
    if u_low > u_high:
        return 0, 0, 0, 0
    u0, u1 = np.int64(np.ceil(max(u_low, 0.0))), np.int64(np.floor(min(u_high, width - 1.0))) + 1
    v0, v1 = np.int64(np.ceil(max(v_low, 0.0))), np.int64(np.floor(min(v_high, height - 1.0))) + 1
    return u0, u1, v0, v1
