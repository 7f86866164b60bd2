"""Camera: z-buffered ray casting of the objects' parts, then one shading pass per pixel."""

import numpy as np
from numba import njit

from .raycast import cell_noise, corner_in_sensor, enter_part, facing_planes, mix, scratch, world_to_unit
from .shading import ground_colour, surface_colour
from .shapes import MAX_CORNERS, SHAPES

_NEAR = 0.05


@njit(cache=True)
def _screen_window(points, count, fx, fy, cx, cy, width, height):
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


@njit(cache=True)
def _cast(
    objects, first_part, planes, n_planes, corners, n_corners, rotation, origin, lens, depth, owner, part_of, plane_of,
    stamp, amodal,
):  # fmt: skip
    fx, fy, cx, cy = lens
    height, width = depth.shape
    linear, offset, gap, front, corner = scratch()
    points = np.empty((MAX_CORNERS, 3))
    for i in range(len(objects)):
        world_to_unit(objects[i], rotation, origin, linear, offset)
        template = np.int64(objects[i, 7])
        for part in range(first_part[template], first_part[template + 1]):
            if not facing_planes(planes[part], n_planes[part], offset, gap, front):
                continue
            for k in range(n_corners[part]):
                corner_in_sensor(objects[i], corners[part, k], rotation, origin, corner)
                points[k] = corner
            u0, u1, v0, v1 = _screen_window(points, n_corners[part], fx, fy, cx, cy, width, height)
            for v in range(v0, v1):
                b = (v - cy) / fy
                for u in range(u0, u1):
                    a = (u - cx) / fx
                    dx = linear[0, 0] * a + linear[0, 1] * b + linear[0, 2]
                    dy = linear[1, 0] * a + linear[1, 1] * b + linear[1, 2]
                    dz = linear[2, 0] * a + linear[2, 1] * b + linear[2, 2]
                    t, plane = enter_part(planes[part], n_planes[part], gap, front, dx, dy, dz)
                    if plane < 0:
                        continue
                    if stamp[v, u] != i:
                        stamp[v, u] = i
                        amodal[i] += 1
                    if t < depth[v, u]:
                        depth[v, u] = t
                        owner[v, u] = i
                        part_of[v, u] = part
                        plane_of[v, u] = plane


@njit(cache=True)
def _contact_shadow(objects, rotation, origin, lens, owner, shadow):
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
        u0, u1, v0, v1 = _screen_window(points, 4, fx, fy, cx, cy, width, height)
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


@njit(cache=True)
def _shade(
    objects, colours, planes, kinds, part_material, lo, hi, rotation, origin, lens, depth, owner, part_of, plane_of,
    shadow, look, ground, horizon, zenith, gains, noise, seed, image,
):  # fmt: skip
    fx, fy, cx, cy = lens
    sun_x, sun_y, sun_z, ambient, haze = look
    linear, offset = np.empty((3, 3)), np.empty(3)
    p, q = np.empty(3), np.empty(3)
    n_objects = len(objects)
    maps = np.empty((n_objects, 12))
    for i in range(n_objects):
        world_to_unit(objects[i], rotation, origin, linear, offset)
        maps[i, :9] = linear.ravel()
        maps[i, 9:] = offset
    for v in range(depth.shape[0]):
        b = (v - cy) / fy
        for u in range(depth.shape[1]):
            a = (u - cx) / fx
            rx = rotation[0, 0] * a + rotation[0, 1] * b + rotation[0, 2]
            ry = rotation[1, 0] * a + rotation[1, 1] * b + rotation[1, 2]
            rz = rotation[2, 0] * a + rotation[2, 1] * b + rotation[2, 2]
            length = np.sqrt(rx * rx + ry * ry + rz * rz)
            i = owner[v, u]
            distance = 1e9
            if i >= 0:
                t, part, plane = depth[v, u], part_of[v, u], plane_of[v, u]
                for k in range(3):
                    row = maps[i, 3 * k : 3 * k + 3]
                    p[k] = maps[i, 9 + k] + t * (row[0] * a + row[1] * b + row[2])
                    q[k] = (p[k] - lo[part, k]) / (hi[part, k] - lo[part, k])
                red, green, blue = surface_colour(
                    part_material[part], kinds[part, plane], p, q, objects[i, 4:7], colours[i, 0], colours[i, 1], i + 1
                )
                n = planes[part, plane]
                nx, ny, nz = n[0] / objects[i, 4], n[1] / objects[i, 5], n[2] / objects[i, 6]
                c, s = np.cos(objects[i, 3]), np.sin(objects[i, 3])
                norm = np.sqrt(nx * nx + ny * ny + nz * nz)
                lit = ((c * nx - s * ny) * sun_x + (s * nx + c * ny) * sun_y + nz * sun_z) / norm
                light = ambient * (0.8 + 0.2 * nz / norm) + (1.15 - ambient) * max(lit, 0.0)
                # Surfaces near the ground see less sky.
                light *= 0.75 + 0.25 * min(p[2] * objects[i, 6] / 0.8, 1.0)
                red, green, blue, distance = red * light, green * light, blue * light, t * length
            elif rz < -1e-4:
                t = -origin[2] / rz
                distance = t * length
                red, green, blue = ground_colour(origin[0] + t * rx, origin[1] + t * ry, distance, ground, 3)
                light = (ambient + (1.15 - ambient) * sun_z) * shadow[v, u]
                red, green, blue = red * light, green * light, blue * light
            else:
                red, green, blue = horizon[0], horizon[1], horizon[2]
                up = min(max(rz / length, 0.0) * 2.2, 1.0)
                cloud = 0.06 * cell_noise(rx / length * 6.0, ry / length * 6.0 + rz * 9.0, 11)
                red = red + up * (zenith[0] - red) + cloud
                green = green + up * (zenith[1] - green) + cloud
                blue = blue + up * (zenith[2] - blue) + cloud
            if distance < 1e8:
                air = 1.0 - np.exp(-haze * distance)
                red, green = red + air * (horizon[0] - red), green + air * (horizon[1] - green)
                blue = blue + air * (horizon[2] - blue)
            key = mix(np.uint64(v * 65536 + u) ^ seed)
            for k in range(3):
                value = blue if k == 0 else (green if k == 1 else red)
                bits = key >> np.uint64(20 * k)
                one, two = np.float64(bits & np.uint64(1023)), np.float64((bits >> np.uint64(10)) & np.uint64(1023))
                value = value * gains[k] * 255.0 + noise * ((one + two) / 1023.0 - 1.0) * 2.45
                image[v, u, k] = np.uint8(min(max(value + 0.5, 0.0), 255.0))


class Camera:
    """Renderer for one sensor of the rig and one image size.

    ``render`` returns the image (H, W, 3) uint8 BGR, the owner map (H, W) int16 (row of ``objects``, -1 none), the
    depth map (H, W) float64 (m along the optical axis, inf where no object) and the amodal pixel count of every
    object (N,): the pixels it would cover were nothing in front of it.
    """

    def __init__(self, intrinsic, width, height, image_noise):
        self.lens = (intrinsic[0, 0], intrinsic[1, 1], intrinsic[0, 2], intrinsic[1, 2])
        self.size = (height, width)
        self.noise = float(image_noise)

    def cast(self, objects, rotation, origin):
        """Geometry pass: depth, owner, part, plane maps and amodal counts."""
        # One memory layout, so one compilation: slices of quaternion products are strided.
        rotation = np.ascontiguousarray(rotation)
        depth = np.full(self.size, np.inf)
        owner, part_of, plane_of, stamp = (np.full(self.size, -1, dtype=np.int16) for _ in range(4))
        amodal = np.zeros(len(objects), dtype=np.int64)
        _cast(
            objects, SHAPES.first, SHAPES.planes, SHAPES.n_planes, SHAPES.corners, SHAPES.n_corners, rotation, origin,
            self.lens, depth, owner, part_of, plane_of, stamp, amodal,
        )  # fmt: skip
        return depth, owner, part_of, plane_of, amodal

    def render(self, objects, colours, look, rotation, origin, rng):
        """``rotation`` (3, 3) camera -> world, ``origin`` (3,) m; ``look`` as World.look; ``rng`` sets the noise."""
        rotation = np.ascontiguousarray(rotation)
        depth, owner, part_of, plane_of, amodal = self.cast(objects, rotation, origin)
        shadow = np.ones(self.size)
        _contact_shadow(objects, rotation, origin, self.lens, owner, shadow)
        image = np.empty((*self.size, 3), dtype=np.uint8)
        gains = look['gain'] * rng.uniform(0.95, 1.05) * look['tint'] * rng.uniform(0.98, 1.02, 3)
        light = (*look['sun'], look['ambient'], look['haze'])
        seed = rng.integers(0, 2**63, dtype=np.uint64)
        _shade(
            objects, colours, SHAPES.planes, SHAPES.kinds, SHAPES.material, SHAPES.lo, SHAPES.hi, rotation, origin,
            self.lens, depth, owner, part_of, plane_of, shadow, light, look['ground'], look['horizon'],
            look['zenith'], gains, self.noise, seed, image,
        )  # fmt: skip
        return image, owner, depth, amodal
