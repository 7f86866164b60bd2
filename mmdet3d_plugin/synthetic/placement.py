"""Finding room: objects and scenery that keep clear of one another and of the ego through a whole scene."""

import numpy as np

from .classes import CLASS_NAMES, SCENERY, SPECS
from .jit import compiled
from .templates import TEMPLATE_NAMES

EGO_CENTRE_AHEAD, EGO_LENGTH, EGO_WIDTH = 1.4, 5.2, 2.6
_GAP = 0.5
_STEP = 0.05
_TRIES = 600


@compiled
def _apart(ax, ay, ayaw, ahl, ahw, bx, by, byaw, bhl, bhw):
    """True when two rotated rectangles (centre, yaw, half sizes) do not touch: separating axis test."""
    dx, dy = bx - ax, by - ay
    ca, sa, cb, sb = np.cos(ayaw), np.sin(ayaw), np.cos(byaw), np.sin(byaw)
    c, s = abs(ca * cb + sa * sb), abs(ca * sb - sa * cb)
    return (
        abs(dx * ca + dy * sa) > ahl + bhl * c + bhw * s
        or abs(-dx * sa + dy * ca) > ahw + bhl * s + bhw * c
        or abs(dx * cb + dy * sb) > bhl + ahl * c + ahw * s
        or abs(-dx * sb + dy * cb) > bhw + ahl * s + ahw * c
    )


@compiled
def _clear(candidate, placed, count, times, ego, gap):
    """Candidate row of ``state`` against the ego (T, 3) and the placed rows at all times."""
    for i in range(len(times)):
        t = times[i]
        x, y, yaw = candidate[0] + t * candidate[2], candidate[1] + t * candidate[3], candidate[4]
        hl, hw = candidate[5] / 2 + gap, candidate[6] / 2 + gap
        ex = ego[i, 0] + EGO_CENTRE_AHEAD * np.cos(ego[i, 2])
        ey = ego[i, 1] + EGO_CENTRE_AHEAD * np.sin(ego[i, 2])
        if not _apart(x, y, yaw, hl, hw, ex, ey, ego[i, 2], EGO_LENGTH / 2, EGO_WIDTH / 2):
            return False
        for j in range(count):
            row = placed[j]
            px, py = row[0] + t * row[2], row[1] + t * row[3]
            if not _apart(x, y, yaw, hl, hw, px, py, row[4], row[5] / 2, row[6] / 2):
                return False
    return True


class _Placer:
    """Rejection sampling of objects that keep clear of one another and of the ego through the whole scene."""

    def __init__(self, rng, config, ego):
        self.rng, self.extent = rng, config.extent
        self.times = np.arange(-config.lead_in, config.duration + _STEP, _STEP)
        self.ego = np.column_stack(ego.pose(self.times))
        self.middle = len(self.times) // 2
        self.rows = np.zeros((256, 10))
        self.count = 0

    def _within(self, row):
        xy = row[0:2] + self.times[:, None] * row[2:4]
        return np.max(np.hypot(*(xy - self.ego[:, :2]).T)) <= self.extent

    def try_add(self, size, yaw, speed, template, annotated):
        radius = self.extent * np.sqrt(self.rng.uniform(0.0, 1.0))
        angle = self.rng.uniform(-np.pi, np.pi)
        centre = self.ego[self.middle, :2] + radius * np.array([np.cos(angle), np.sin(angle)])
        velocity = speed * np.array([np.cos(yaw), np.sin(yaw)])
        start = centre - velocity * self.times[self.middle]
        row = np.array([*start, *velocity, yaw, *size, template, annotated], dtype=np.float64)
        if not self._within(row) or not _clear(row, self.rows, self.count, self.times, self.ego, _GAP):
            return False
        self._append(row)
        return True

    def _append(self, row):
        if self.count == len(self.rows):
            self.rows = np.concatenate([self.rows, np.zeros_like(self.rows)])
        self.rows[self.count] = row
        self.count += 1

    def add_object(self, name):
        spec, rng = SPECS[name], self.rng
        moving = rng.uniform() < spec.moving
        noise = rng.standard_normal(3).clip(-2, 2)
        shape = spec.shape if moving or spec.shape_still is None else spec.shape_still
        height = spec.size[2] if moving or spec.height_still is None else spec.height_still
        size = np.array([*spec.size[:2], height]) + noise * np.array(spec.spread)
        top_speed = rng.uniform(*spec.speed) if moving else 0.0
        for attempt in range(_TRIES):
            yaw = rng.uniform(-np.pi, np.pi)
            if spec.road_aligned:
                yaw = self.ego[self.middle, 2] + rng.integers(4) * np.pi / 2 + rng.normal(0, 0.15)
            # Fast objects leave a small world: slow down, to a quarter at most, when no place is found.
            speed = top_speed * (1.0, 0.75, 0.5, 0.25)[attempt * 4 // _TRIES]
            if self.try_add(size, yaw, speed, TEMPLATE_NAMES.index(shape), 1):
                return True
        return False

    def add_scenery(self, name):
        """Scenery that finds no room is left out; buildings stand outside the extent."""
        size, spread, _ = SCENERY[name]
        size = np.array(size) + self.rng.standard_normal(3).clip(-1.5, 1.5) * np.array(spread)
        yaw = self.rng.uniform(-np.pi, np.pi)
        template = TEMPLATE_NAMES.index(name)
        if name != 'building':
            return any(self.try_add(size, yaw, 0.0, template, 0) for _ in range(40))
        angle = self.rng.uniform(-np.pi, np.pi)
        direction = np.array([np.cos(angle), np.sin(angle)])
        reach = self.extent + 7.0 + np.hypot(size[0], size[1]) / 2
        along = (self.ego[:, :2] - self.ego[self.middle, :2]) @ direction
        centre = self.ego[self.middle, :2] + direction * (along.max() + reach + self.rng.uniform(0, 10))
        self._append([*centre, 0, 0, yaw, *size, template, 0])
        return True


def place(rng, config, ego):
    """Fill a scene: (name of the class without room or None, rows of World.state, name of each row)."""
    placer = _Placer(rng, config, ego)
    labels = []
    by_size = sorted(CLASS_NAMES, key=lambda name: -SPECS[name].size[0] * SPECS[name].size[1])
    for name in by_size:
        for _ in range(config.objects[name]):
            if not placer.add_object(name):
                return name, None, None
            labels.append(name)
    scenery = [n for n, k in (('building', 9), ('pole', 4), ('tree', 4), ('wall', 2)) for _ in range(k)]
    scenery = [name for name in scenery if placer.add_scenery(name)]
    return None, placer.rows[: placer.count], labels + scenery
