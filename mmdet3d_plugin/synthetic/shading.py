"""Shading: colours, light, contact shadows, haze, sky and noise for the pixels of a cast image."""

import numpy as np

from .jit import compiled
from .looks import ground_colour, surface_colour
from .raycast import cell_noise, corner_in_sensor, mix, screen_window, world_to_unit


@compiled
def contact_shadow(objects, rotation, origin, lens, owner, shadow):
    """Darken the ground under and close to every object: ``shadow`` (H, W) is multiplied in place."""
    fx, fy, cx, cy = lens
    height, width = owner.shape
    points, corner, unit = np.empty((4, 3)), np.empty(3), np.empty(3)
    flat = np.empty(8)
    for i in range(len(objects)):
        flat[:] = objects[i]
        flat[2] = 0.0
        spread = 0.10 + 0.12 * min(flat[6], 3.0)
        flat[4] += 2 * spread
        flat[5] += 2 * spread
        for k in range(4):
            unit[0], unit[1], unit[2] = (k // 2) - 0.5, (k % 2) - 0.5, 0.0
            corner_in_sensor(flat, unit, rotation, origin, corner)
            points[k] = corner
        u0, u1, v0, v1 = screen_window(points, 4, fx, fy, cx, cy, width, height)
        c, s = np.cos(flat[3]), np.sin(flat[3])
        for v in range(v0, v1):
            b = (v - cy) / fy
            for u in range(u0, u1):
                a = (u - cx) / fx
                dz = rotation[2, 0] * a + rotation[2, 1] * b + rotation[2, 2]
                if owner[v, u] >= 0 or dz >= 0.0:
                    continue
                t = -origin[2] / dz
                wx = origin[0] + t * (rotation[0, 0] * a + rotation[0, 1] * b + rotation[0, 2]) - flat[0]
                wy = origin[1] + t * (rotation[1, 0] * a + rotation[1, 1] * b + rotation[1, 2]) - flat[1]
                inside = min(flat[4] / 2 - abs(c * wx + s * wy), flat[5] / 2 - abs(-s * wx + c * wy))
                if inside > 0.0:
                    shadow[v, u] *= 1.0 - 0.55 * min(inside / spread, 1.0)


@compiled
def _unit_point(maps, i, a, b, t):
    """Point at depth t of the pixel ray (a, b, 1), in the normalised coordinates of object i."""
    return (
        maps[i, 9] + t * (maps[i, 0] * a + maps[i, 1] * b + maps[i, 2]),
        maps[i, 10] + t * (maps[i, 3] * a + maps[i, 4] * b + maps[i, 5]),
        maps[i, 11] + t * (maps[i, 6] * a + maps[i, 7] * b + maps[i, 8]),
    )


@compiled
def _object_rgb(objects, colours, planes, kinds, materials, lo, hi, i, part, face, p, sun, ambient):
    """Lit colour of object i at the normalised point p of a face of a part.

    Rows are indexed element by element and passed on as tuples: array views cost more here than the arithmetic.
    """
    q = (
        (p[0] - lo[part, 0]) / (hi[part, 0] - lo[part, 0]),
        (p[1] - lo[part, 1]) / (hi[part, 1] - lo[part, 1]),
        (p[2] - lo[part, 2]) / (hi[part, 2] - lo[part, 2]),
    )
    size = (objects[i, 4], objects[i, 5], objects[i, 6])
    first = (colours[i, 0, 0], colours[i, 0, 1], colours[i, 0, 2])
    second = (colours[i, 1, 0], colours[i, 1, 1], colours[i, 1, 2])
    red, green, blue = surface_colour(materials[part], kinds[part, face], p, q, size, first, second, i + 1)
    nx, ny, nz = planes[part, face, 0] / size[0], planes[part, face, 1] / size[1], planes[part, face, 2] / size[2]
    c, s = np.cos(objects[i, 3]), np.sin(objects[i, 3])
    norm = np.sqrt(nx * nx + ny * ny + nz * nz)
    facing = ((c * nx - s * ny) * sun[0] + (s * nx + c * ny) * sun[1] + nz * sun[2]) / norm
    light = ambient * (0.8 + 0.2 * nz / norm) + (1.15 - ambient) * max(facing, 0.0)
    # Surfaces near the ground see less sky.
    light *= 0.75 + 0.25 * min(p[2] * size[2] / 0.8, 1.0)
    return red * light, green * light, blue * light


@compiled
def _sky_rgb(x, y, z, horizon, zenith):
    """Gradient from horizon to zenith with faint cloud patches; x, y, z is a unit vector."""
    up = min(max(z, 0.0) * 2.2, 1.0)
    cloud = 0.06 * cell_noise(x * 6.0, y * 6.0 + z * 9.0, 11)
    return (
        horizon[0] + up * (zenith[0] - horizon[0]) + cloud,
        horizon[1] + up * (zenith[1] - horizon[1]) + cloud,
        horizon[2] + up * (zenith[2] - horizon[2]) + cloud,
    )


@compiled
def _write_bgr(image, v, u, rgb, horizon, air, gains, noise, key):
    """Haze (``air`` 0-1), exposure and triangular noise of standard deviation ``noise``, as 8-bit BGR."""
    for k in range(3):
        value = rgb[2 - k] + air * (horizon[2 - k] - rgb[2 - k])
        bits = key >> np.uint64(20 * k)
        one, two = np.float64(bits & np.uint64(1023)), np.float64((bits >> np.uint64(10)) & np.uint64(1023))
        value = value * gains[2 - k] * 255.0 + noise * ((one + two) / 1023.0 - 1.0) * 2.45
        image[v, u, k] = np.uint8(min(max(value + 0.5, 0.0), 255.0))


@compiled
def _unit_maps(objects, rotation, origin):
    """(N, 12) camera -> unit frame of every object: the 9 linear entries, then the offset."""
    linear, offset = np.empty((3, 3)), np.empty(3)
    maps = np.empty((len(objects), 12))
    for i in range(len(objects)):
        world_to_unit(objects[i], rotation, origin, linear, offset)
        maps[i, :9] = linear.ravel()
        maps[i, 9:] = offset
    return maps


@compiled
def shade(
    objects, colours, planes, kinds, materials, lo, hi, rotation, origin, lens, depth, owner, part_of, plane_of, shadow,
    sun, ambient, haze, ground, horizon, zenith, gains, noise, seed, image,
):  # fmt: skip
    """Fill ``image`` (H, W, 3) uint8 BGR from the maps of the geometry pass; colours are RGB in [0, 1]."""
    fx, fy, cx, cy = lens
    maps = _unit_maps(objects, rotation, origin)
    for v in range(depth.shape[0]):
        b = (v - cy) / fy
        for u in range(depth.shape[1]):
            a = (u - cx) / fx
            rx = rotation[0, 0] * a + rotation[0, 1] * b + rotation[0, 2]
            ry = rotation[1, 0] * a + rotation[1, 1] * b + rotation[1, 2]
            rz = rotation[2, 0] * a + rotation[2, 1] * b + rotation[2, 2]
            length = np.sqrt(rx * rx + ry * ry + rz * rz)
            i, air = owner[v, u], 0.0
            if i >= 0:
                t, part, face = depth[v, u], part_of[v, u], plane_of[v, u]
                p = _unit_point(maps, i, a, b, t)
                rgb = _object_rgb(objects, colours, planes, kinds, materials, lo, hi, i, part, face, p, sun, ambient)
                air = 1.0 - np.exp(-haze * t * length)
            elif rz < -1e-4:
                t = -origin[2] / rz
                light = (ambient + (1.15 - ambient) * sun[2]) * shadow[v, u]
                red, green, blue = ground_colour(origin[0] + t * rx, origin[1] + t * ry, t * length, ground, 3)
                rgb = (red * light, green * light, blue * light)
                air = 1.0 - np.exp(-haze * t * length)
            else:
                rgb = _sky_rgb(rx / length, ry / length, rz / length, horizon, zenith)
            key = mix(np.uint64(v * 65536 + u) ^ seed)
            _write_bgr(image, v, u, rgb, horizon, air, gains, noise, key)
