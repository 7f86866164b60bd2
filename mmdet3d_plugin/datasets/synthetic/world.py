"""The world of one scene: the ego's path, moving objects and scenery on flat ground (z = 0, global frame)."""

from dataclasses import dataclass

import numpy as np
from numba import njit

from .classes import CLASS_NAMES, SCENERY, SPECS
from .config import SyntheticConfig
from .shapes import TEMPLATE_NAMES

EGO_CENTRE_AHEAD, EGO_LENGTH, EGO_WIDTH = 1.4, 5.2, 2.6
# Drawn surfaces stay this far (m) inside the annotated box, so that range noise leaves their returns in it.
SURFACE_INSET = 0.02
_GAP = 0.5
_STEP = 0.05
_TRIES = 600
_RESTARTS = 8


class EgoPath:
    """Smooth path with gently varying heading and speed; ``pose(t)`` gives x, y (m) and yaw (rad), global frame."""

    def __init__(self, rng, speed, duration, origin):
        self._t = np.arange(-0.3, duration + 0.3, 0.002)
        period = rng.uniform(9.0, 14.0)
        yaw0, phase, swing = rng.uniform(-np.pi, np.pi), rng.uniform(0, 2 * np.pi), rng.uniform(0.05, 0.25)
        self._yaw = yaw0 + swing * np.sin(2 * np.pi * self._t / period + phase)
        pace = speed * rng.uniform(0.85, 1.15) * (1 + 0.15 * np.sin(2 * np.pi * self._t / 6.0 + phase))
        velocity = pace[:, None] * np.stack([np.cos(self._yaw), np.sin(self._yaw)], axis=1)
        steps = 0.5 * (velocity[1:] + velocity[:-1]) * np.diff(self._t)[:, None]
        self._xy = np.asarray(origin) + np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])

    def pose(self, t):
        return (
            np.interp(t, self._t, self._xy[:, 0]),
            np.interp(t, self._t, self._xy[:, 1]),
            np.interp(t, self._t, self._yaw),
        )


@dataclass(frozen=True)
class World:
    """One scene.

    ``static`` columns of ``state`` (N, 10): x, y at time 0, vx, vy, yaw, l, w, h, template, annotated flag. The first
    ``len(labels)`` rows are the annotated objects, their class names in ``labels``; the rest is scenery. ``colours``
    (N, 2, 3) RGB in [0, 1]. ``look`` holds the scene's light and weather numbers.
    """

    ego: EgoPath
    state: np.ndarray
    labels: tuple
    colours: np.ndarray
    look: dict

    def objects_at(self, t: float) -> np.ndarray:
        """(N, 8) x, y, z of the bottom, yaw, l, w, h, template of the drawn surfaces at t seconds."""
        out = np.empty((len(self.state), 8))
        out[:, 0:2] = self.state[:, 0:2] + t * self.state[:, 2:4]
        out[:, 2] = 0.0
        out[:, 3] = self.state[:, 4]
        out[:, 4:7] = self.state[:, 5:8]
        out[:, 7] = self.state[:, 8]
        annotated = slice(0, len(self.labels))
        out[annotated, 2] += SURFACE_INSET
        out[annotated, 4:7] -= 2 * SURFACE_INSET
        return out

    def boxes_at(self, t: float) -> np.ndarray:
        """(n, 7) annotated boxes at t seconds: centre x, y, z, l, w, h (m), yaw (rad), global frame."""
        n = len(self.labels)
        xy = self.state[:n, 0:2] + t * self.state[:n, 2:4]
        return np.column_stack([xy, self.state[:n, 7] / 2, self.state[:n, 5:8], self.state[:n, 4]])

    def is_moving(self, index: int) -> bool:
        return bool(np.any(self.state[index, 2:4]))

    def attribute(self, index: int) -> str:
        spec = SPECS[self.labels[index]]
        return spec.attribute if self.is_moving(index) else spec.attribute_still


@njit(cache=True)
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


@njit(cache=True)
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
        self.times = np.arange(0.0, config.duration + _STEP, _STEP)
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


def _place(rng, config, ego):
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


def _paint(rng, names):
    colours = np.zeros((len(names), 2, 3))
    for i, name in enumerate(names):
        choices = (SPECS[name].primary, SPECS[name].secondary) if name in SPECS else (SCENERY[name][2],) * 2
        for k in range(2):
            base = np.array(choices[k][rng.integers(len(choices[k]))])
            colours[i, k] = (base * rng.uniform(0.85, 1.12) + rng.uniform(-0.04, 0.04, 3)).clip(0.02, 1.0)
    return colours


def _scene_look(rng):
    azimuth, elevation = rng.uniform(-np.pi, np.pi), rng.uniform(0.5, 1.1)
    ground = (0.34, 0.34, 0.35) if rng.uniform() < 0.6 else (0.40, 0.37, 0.31)
    return dict(
        sun=np.array([np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)]),
        ambient=rng.uniform(0.5, 0.7),
        gain=rng.uniform(0.75, 1.1),
        tint=1.0 + rng.uniform(-0.05, 0.05, 3),
        ground=np.array(ground) * rng.uniform(0.85, 1.15),
        horizon=np.array([0.80, 0.84, 0.88]) * rng.uniform(0.85, 1.05),
        zenith=np.array([0.35, 0.52, 0.80]) * rng.uniform(0.8, 1.1),
        haze=rng.uniform(0.001, 0.005),
    )


def build_world(config: SyntheticConfig, scene_index: int) -> World:
    """World of the scene with the given index; depends on the seed, the settings and that index alone.

    Raises:
        ValueError: when the objects do not fit into ``extent`` around the ego's path.
    """
    failed = None
    for restart in range(_RESTARTS):
        rng = np.random.default_rng([config.seed, scene_index, 0, restart])
        origin = rng.uniform((300.0, 900.0), (700.0, 1300.0))
        ego = EgoPath(rng, config.ego_speed, config.duration, origin)
        failed, rows, names = _place(rng, config, ego)
        if failed is None:
            annotated = tuple(names[: sum(config.objects.values())])
            return World(ego, rows.copy(), annotated, _paint(rng, names), _scene_look(rng))
    raise ValueError(
        f'scene {scene_index}: no room for a {failed} within extent={config.extent} m of the ego during '
        f'{config.duration} s at ego_speed={config.ego_speed} m/s; raise extent, or '
        'lower objects, ego_speed or keyframes'
    )
