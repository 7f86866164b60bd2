"""Spinning LiDAR: rays against every object's convex parts and the ground, nearest hit wins."""

import numpy as np

from . import materials
from .jit import compiled
from .raycast import corner_in_sensor, enter_part, facing_planes, scratch, world_to_unit
from .rig import HIGHEST_BEAM, LOWEST_BEAM
from .templates import SHAPES


def beam_directions(beams: int, azimuth_steps: int) -> np.ndarray:
    """(azimuth_steps, beams, 3) unit vectors in the LiDAR frame, clockwise from -x, lowest ring first."""
    elevation = np.radians(np.linspace(LOWEST_BEAM, HIGHEST_BEAM, beams))[None, :]
    azimuth = (np.pi - 2 * np.pi * np.arange(azimuth_steps) / azimuth_steps)[:, None]
    flat = np.cos(elevation)
    return np.stack(
        [flat * np.cos(azimuth), flat * np.sin(azimuth), np.broadcast_to(np.sin(elevation), (azimuth_steps, beams))],
        axis=-1,
    )


@compiled
def _cast_ground(directions, rotation, height, max_range, ranges, cosine, material):
    for a in range(directions.shape[0]):
        for r in range(directions.shape[1]):
            d = directions[a, r]
            dz = rotation[2, 0] * d[0] + rotation[2, 1] * d[1] + rotation[2, 2] * d[2]
            if dz < 0.0 and height < -dz * max_range:
                ranges[a, r] = -height / dz
                cosine[a, r] = -dz
                material[a, r] = materials.GROUND


@compiled
def _window(obj, corners, n_corners, rotation, origin, n_azimuth, corner):
    """First azimuth column, number of columns and the elevation bounds (rad) that may see a part."""
    centre_x, centre_y = 0.0, 0.0
    for k in range(n_corners):
        corner_in_sensor(obj, corners[k], rotation, origin, corner)
        centre_x += corner[0] / n_corners
        centre_y += corner[1] / n_corners
    middle = np.arctan2(centre_y, centre_x)
    left, right, low, high = 0.0, 0.0, np.inf, -np.inf
    radius = 0.0
    for k in range(n_corners):
        corner_in_sensor(obj, corners[k], rotation, origin, corner)
        turn = np.arctan2(corner[1], corner[0]) - middle
        turn -= 2 * np.pi * np.round(turn / (2 * np.pi))
        left, right = max(left, turn), min(right, turn)
        low, high = min(low, corner[2]), max(high, corner[2])
        radius = max(radius, np.hypot(corner[0] - centre_x, corner[1] - centre_y))
    distance = np.hypot(centre_x, centre_y)
    near, far = max(distance - radius, 0.05), distance + radius
    lowest = np.arctan(low / (near if low < 0 else far))
    highest = np.arctan(high / (far if high < 0 else near))
    step = 2 * np.pi / n_azimuth
    first = np.int64(np.floor((np.pi - middle - left) / step))
    columns = min(np.int64(np.ceil((left - right) / step)) + 2, n_azimuth)
    if distance <= radius:
        first, columns = 0, n_azimuth
    return first, columns, lowest, highest


@compiled
def _cast_objects(
    objects, first_part, planes, n_planes, corners, n_corners, part_material, directions, elevation, rotation, origin,
    ranges, cosine, material,
):  # fmt: skip
    linear, offset, gap, front, corner = scratch()
    n_azimuth, n_beams = ranges.shape
    for i in range(len(objects)):
        obj = objects[i]
        world_to_unit(obj, rotation, origin, linear, offset)
        template = np.int64(obj[7])
        for part in range(first_part[template], first_part[template + 1]):
            sides, n_sides = planes[part], n_planes[part]
            if not facing_planes(sides, n_sides, offset, gap, front):
                continue
            first, columns, lowest, highest = _window(
                obj, corners[part], n_corners[part], rotation, origin, n_azimuth, corner
            )
            for column in range(first, first + columns):
                a = column % n_azimuth
                for r in range(n_beams):
                    if elevation[r] < lowest or elevation[r] > highest:
                        continue
                    d = directions[a, r]
                    dx = linear[0, 0] * d[0] + linear[0, 1] * d[1] + linear[0, 2] * d[2]
                    dy = linear[1, 0] * d[0] + linear[1, 1] * d[1] + linear[1, 2] * d[2]
                    dz = linear[2, 0] * d[0] + linear[2, 1] * d[1] + linear[2, 2] * d[2]
                    t, plane = enter_part(sides, n_sides, gap, front, dx, dy, dz)
                    if plane >= 0 and t < ranges[a, r]:
                        ranges[a, r] = t
                        material[a, r] = part_material[part]
                        n = sides[plane]
                        nx, ny, nz = n[0] / obj[4], n[1] / obj[5], n[2] / obj[6]
                        norm = np.sqrt(nx * nx + ny * ny + nz * nz)
                        cosine[a, r] = -(n[0] * dx + n[1] * dy + n[2] * dz) / norm


class Lidar:
    """Ray caster for a fixed beam pattern.

    ``scan`` returns (M, 5) float32 x, y, z (m, LiDAR frame), intensity (0-255), ring, in firing order. The world
    stands still during a scan: points belong to the sensor pose and the object positions at the stamp.
    """

    def __init__(self, beams, azimuth_steps, max_range, range_noise, dropout):
        self.directions = beam_directions(beams, azimuth_steps)
        self.elevation = np.arcsin(self.directions[0, :, 2])
        self.max_range, self.range_noise, self.dropout = max_range, range_noise, dropout

    def scan(self, objects: np.ndarray, rotation: np.ndarray, origin: np.ndarray, rng) -> np.ndarray:
        """``objects`` (N, 8) as in World.objects_at; ``rotation`` (3, 3) LiDAR -> world; ``origin`` (3,) m."""
        rotation = np.ascontiguousarray(rotation)
        shape = self.directions.shape[:2]
        ranges = np.full(shape, np.inf)
        cosine = np.zeros(shape)
        material = np.zeros(shape, dtype=np.int64)
        _cast_ground(self.directions, rotation, origin[2], self.max_range, ranges, cosine, material)
        _cast_objects(
            objects, SHAPES.first, SHAPES.planes, SHAPES.n_planes, SHAPES.corners, SHAPES.n_corners, SHAPES.material,
            self.directions, self.elevation, rotation, origin, ranges, cosine, material,
        )  # fmt: skip
        return self._measure(ranges, cosine, material, rng)

    def _measure(self, ranges, cosine, material, rng):
        """Noise, intensity and lost returns: a far, grazing or dark hit is lost more often."""
        draw = rng.random(ranges.shape, dtype=np.float32)
        noise = rng.standard_normal((2, *ranges.shape), dtype=np.float32)
        hit = ranges < self.max_range
        strength = materials.INTENSITY[material] * (0.6 + 0.4 * cosine)
        with np.errstate(invalid='ignore'):
            weak = (ranges / self.max_range) ** 2 * np.exp(-strength / 12.0)
        lost = self.dropout + (1.0 - self.dropout) * 0.8 * np.where(hit, weak, 1.0)
        keep = hit & (draw >= np.where(self.dropout > 0, lost, 0.0))
        distance = np.where(keep, ranges, 0.0) + self.range_noise * noise[0].clip(-3, 3)
        points = np.empty((*ranges.shape, 5), dtype=np.float32)
        points[..., :3] = self.directions * distance[..., None]
        points[..., 3] = np.rint((strength * (1.0 + 0.15 * noise[1])).clip(0, 255))
        points[..., 4] = np.arange(ranges.shape[1])
        return points[keep]
