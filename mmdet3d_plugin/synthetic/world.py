"""The world of one scene: the ego's path, moving objects and scenery on flat ground (z = 0, global frame)."""

from dataclasses import dataclass

import numpy as np

from .classes import SCENERY, SPECS
from .config import SyntheticConfig
from .ego_path import EgoPath
from .placement import place

# Drawn surfaces stay this far (m) inside the annotated box, so that range noise leaves their returns in it.
SURFACE_INSET = 0.02
_RESTARTS = 8


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
        ego = EgoPath(rng, config.ego_speed, config.duration, origin, config.ego_turn, config.lead_in)
        failed, rows, names = place(rng, config, ego)
        if failed is None:
            annotated = tuple(names[: sum(config.objects.values())])
            return World(ego, rows.copy(), annotated, _paint(rng, names), _scene_look(rng))
    raise ValueError(
        f'scene {scene_index}: no room for a {failed} within extent={config.extent} m of the ego during '
        f'{config.duration} s at ego_speed={config.ego_speed} m/s; raise extent, or '
        'lower objects, ego_speed or keyframes'
    )
