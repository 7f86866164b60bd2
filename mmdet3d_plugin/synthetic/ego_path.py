"""The ego's path through a scene: where it is at any moment, and what its motion sensors would show."""

import numpy as np

_STEP = 0.002
_MARGIN = 0.3  # s before the first recording and after the last keyframe
_GRAVITY = 9.81


class EgoPath:
    """Smooth path with gently varying heading and speed; ``pose(t)`` gives x, y (m) and yaw (rad), global frame.

    Args:
        rng (np.random.Generator): source of everything random.
        speed (float): mean, m/s.
        duration (float): s.
        origin (Sequence[float]): x, y at the start, m.
        turn (tuple[float]): lowest and highest rate, degrees/s, of a turn to one side that lasts the whole scene; the
            rate goes up and down between the two. (0, 0) leaves a straight road, whose heading swings a little.
        lead_in (float): s of recordings before time 0.
    """

    def __init__(self, rng, speed, duration, origin, turn=(0.0, 0.0), lead_in=0.0):
        self._t = np.arange(-_MARGIN - lead_in, duration + _MARGIN, _STEP)
        period = rng.uniform(9.0, 14.0)
        yaw0, phase, swing = rng.uniform(-np.pi, np.pi), rng.uniform(0, 2 * np.pi), rng.uniform(0.05, 0.25)
        if any(turn):
            self._yaw = yaw0 + rng.choice([-1, 1]) * self._turned(np.radians(turn), 2 * np.pi / period, phase)
        else:
            self._yaw = yaw0 + swing * np.sin(2 * np.pi * self._t / period + phase)
        self._pace = speed * rng.uniform(0.85, 1.15) * (1 + 0.15 * np.sin(2 * np.pi * self._t / 6.0 + phase))
        velocity = self._pace[:, None] * np.stack([np.cos(self._yaw), np.sin(self._yaw)], axis=1)
        steps = 0.5 * (velocity[1:] + velocity[:-1]) * np.diff(self._t)[:, None]
        self._xy = np.asarray(origin) + np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])

    def _turned(self, limits, frequency, phase):
        """Angle (rad) at every step when the rate is a sine between two limits (rad/s)."""
        middle, half = limits.mean(), np.ptp(limits) / 2
        return middle * self._t - half / frequency * np.cos(frequency * self._t + phase)

    def pose(self, t):
        return (
            np.interp(t, self._t, self._xy[:, 0]),
            np.interp(t, self._t, self._xy[:, 1]),
            np.interp(t, self._t, self._yaw),
        )

    def motion(self, t):
        """Speed (m/s), rate of turn (rad/s) and (3,) acceleration (m/s^2, ego frame, with gravity) at ``t`` s."""
        rate = np.gradient(self._yaw, _STEP)
        along = np.gradient(self._pace, _STEP)
        speed, turn, push = (np.interp(t, self._t, values) for values in (self._pace, rate, along))
        return float(speed), float(turn), [float(push), float(speed * turn), _GRAVITY]
