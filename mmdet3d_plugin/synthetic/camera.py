"""Camera: z-buffered ray casting of the objects' parts, then one shading pass per pixel."""

import numpy as np

from .jit import compiled
from .raycast import corner_in_sensor, enter_part, facing_planes, scratch, screen_window, world_to_unit
from .shading import contact_shadow, shade
from .shapes import MAX_CORNERS
from .templates import SHAPES


@compiled
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
            sides, n_sides = planes[part], n_planes[part]
            if not facing_planes(sides, n_sides, offset, gap, front):
                continue
            for k in range(n_corners[part]):
                corner_in_sensor(objects[i], corners[part, k], rotation, origin, corner)
                points[k] = corner
            u0, u1, v0, v1 = screen_window(points, n_corners[part], fx, fy, cx, cy, width, height)
            for v in range(v0, v1):
                b = (v - cy) / fy
                for u in range(u0, u1):
                    a = (u - cx) / fx
                    dx = linear[0, 0] * a + linear[0, 1] * b + linear[0, 2]
                    dy = linear[1, 0] * a + linear[1, 1] * b + linear[1, 2]
                    dz = linear[2, 0] * a + linear[2, 1] * b + linear[2, 2]
                    t, plane = enter_part(sides, n_sides, gap, front, dx, dy, dz)
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
        contact_shadow(objects, rotation, origin, self.lens, owner, shadow)
        image = np.empty((*self.size, 3), dtype=np.uint8)
        gains = look['gain'] * rng.uniform(0.95, 1.05) * look['tint'] * rng.uniform(0.98, 1.02, 3)
        seed = rng.integers(0, 2**63, dtype=np.uint64)
        shade(
            objects, colours, SHAPES.planes, SHAPES.kinds, SHAPES.material, SHAPES.lo, SHAPES.hi, rotation, origin,
            self.lens, depth, owner, part_of, plane_of, shadow, look['sun'], look['ambient'], look['haze'],
            look['ground'], look['horizon'], look['zenith'], gains, self.noise, seed, image,
        )  # fmt: skip
        return image, owner, depth, amodal
