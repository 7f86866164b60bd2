"""Parts of objects: convex prisms in normalised coordinates.

An object is drawn as a few parts that together fill the unit box [-.5, .5] x [-.5, .5] x [0, 1] exactly (x forward,
y left, z up; divided by length, width and height) and are stretched to every instance's own size, so they always touch
all six faces of the annotated box. A part is a polygon in the x-z plane extruded along y: cuboids, sloped cabins,
octagonal wheels and slanted bars are all of that form, and all are convex, which is what the ray caster needs.
"""

from dataclasses import dataclass

import numpy as np

MAX_PLANES = 10
MAX_CORNERS = 16
FRONT, REAR, LEFT, RIGHT, TOP, BOTTOM = range(6)


@dataclass(frozen=True)
class Part:
    """Convex part: half-spaces n.x <= c as rows (nx, ny, nz, c), the face kind of each, corners (K, 3), material."""

    planes: np.ndarray
    kinds: np.ndarray
    corners: np.ndarray
    material: int


def _face_kind(normal):
    axis = int(np.argmax(np.abs(normal)))
    negative = int(normal[axis] < 0)
    return (FRONT, LEFT, TOP)[axis] + negative


def prism(polygon, y0, y1, material, taper=0.0):
    """Extrude a convex x-z polygon from y0 to y1; ``taper`` is how far each side leans in per unit of z."""
    poly = np.asarray(polygon, dtype=np.float64)
    centre = poly.mean(0)
    floor = poly[:, 1].min()
    planes = [(0.0, 1.0, taper, y1 + taper * floor), (0.0, -1.0, taper, -y0 + taper * floor)]
    for a, b in zip(poly, np.roll(poly, -1, axis=0)):
        normal = np.array([b[1] - a[1], a[0] - b[0]])
        normal /= np.linalg.norm(normal)
        if normal @ (a - centre) < 0:
            normal = -normal
        planes.append((normal[0], 0.0, normal[1], normal @ a))
    lean = taper * (poly[:, 1] - floor)
    left = np.stack([poly[:, 0], y1 - lean, poly[:, 1]], axis=1)
    right = np.stack([poly[:, 0], y0 + lean, poly[:, 1]], axis=1)
    planes = np.array(planes)
    kinds = np.array([_face_kind(n) for n in planes[:, :3]])
    return Part(planes, kinds, np.concatenate([left, right]), material)


def box(x0, x1, y0, y1, z0, z1, material, front=0.0, rear=0.0, side=0.0):
    """Cuboid whose front, rear and both sides move in by ``front``, ``rear``, ``side`` at the top."""
    return prism([(x0, z0), (x1, z0), (x1 - front, z1), (x0 + rear, z1)], y0, y1, material, side / (z1 - z0))


def bar(x0, z0, x1, z1, thickness, y0, y1, material):
    """Slanted bar between two points of the x-z plane; its ends are vertical cuts, its height ``thickness``."""
    half = thickness / 2
    return prism([(x0, z0 - half), (x1, z1 - half), (x1, z1 + half), (x0, z0 + half)], y0, y1, material)


def wheel(x, rx, rz, half_width, material):
    """Octagon standing on the ground, its flats touching z=0 and x +- rx."""
    k = np.tan(np.pi / 8)
    ring = [(1, k), (k, 1), (-k, 1), (-1, k), (-1, -k), (-k, -1), (k, -1), (1, -k)]
    return prism([(x + rx * a, rz + rz * b) for a, b in ring], -half_width, half_width, material)
