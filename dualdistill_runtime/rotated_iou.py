"""Overlap of turned rectangles in the ground plane."""

from __future__ import annotations

import numpy as np

_SIGNS = np.array([(-0.5, 0.5), (0.5, 0.5), (0.5, -0.5), (-0.5, -0.5)])  # clockwise
_TINY = 1e-9
_AT_ONCE = 2048  # pairs: what is needed on the way stays in the cache


def corners_of(rectangles: np.ndarray) -> np.ndarray:
    """(N, 4, 2) corners of (N, 5) x, y, length, width, yaw (rad, counter-clockwise)."""
    local = _SIGNS * rectangles[:, None, 2:4]
    cos, sin = np.cos(rectangles[:, 4:5]), np.sin(rectangles[:, 4:5])
    turned = np.stack([cos * local[..., 0] - sin * local[..., 1], sin * local[..., 0] + cos * local[..., 1]], axis=-1)
    return rectangles[:, None, :2] + turned


def rotated_iou(first: np.ndarray, second: np.ndarray, at_least: float = 0.0) -> np.ndarray:
    """(N,) intersection over union of N pairs of rectangles (N, 5), see :func:`corners_of`.

    Args:
        first, second: The pairs.
        at_least: What matters: pairs that cannot reach it get 0 and cost little.
    """
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    iou = np.zeros(len(first))
    most = _most(first, second)
    near = np.flatnonzero((most > 0) & (most >= at_least - _TINY))
    for begin in range(0, len(near), _AT_ONCE):
        rows = near[begin : begin + _AT_ONCE]
        iou[rows] = _ious(first[rows], second[rows])
    return iou


def _most(first, second):
    """(N,) what the IoU of pairs is at most: that of upright rectangles around them shares more, of the same areas."""
    halves = []
    for one in (first, second):
        cos, sin = np.abs(np.cos(one[:, 4])), np.abs(np.sin(one[:, 4]))
        halves.append(np.stack([cos * one[:, 2] + sin * one[:, 3], sin * one[:, 2] + cos * one[:, 3]], axis=1) / 2)
    low = np.maximum(first[:, :2] - halves[0], second[:, :2] - halves[1])
    high = np.minimum(first[:, :2] + halves[0], second[:, :2] + halves[1])
    areas = first[:, 2] * first[:, 3], second[:, 2] * second[:, 3]
    shared = np.minimum(np.maximum(high - low, 0).prod(axis=1), np.minimum(*areas))
    return shared / np.maximum(areas[0] + areas[1] - shared, _TINY)


def _ious(first, second):
    # about the first centre: coordinates of a map's rim would cost digits
    centre = np.concatenate([first[:, :2], np.zeros((len(first), 3))], axis=1)
    first, second = first - centre, second - centre
    shared = _intersections(first, second)
    area = first[:, 2] * first[:, 3] + second[:, 2] * second[:, 3] - shared
    return np.where(area > 0, shared / np.maximum(area, _TINY), 0)


def _intersections(first, second):
    """(N,) areas that pairs of rectangles share: the polygon of crossing edges and of corners inside the other."""
    corners = corners_of(first), corners_of(second)
    crossings, crossed = _crossings(*corners)
    points = np.concatenate([crossings, *corners], axis=1)
    valid = np.concatenate([crossed, _inside(corners[0], second), _inside(corners[1], first)], axis=1)
    count = np.maximum(valid.sum(axis=1, keepdims=True), 1)
    centre = (points * valid[..., None]).sum(axis=1) / count
    offsets = (points - centre[:, None]) * valid[..., None]  # what is not valid adds no area
    angles = np.where(valid, np.arctan2(offsets[..., 1], offsets[..., 0]), np.inf)
    order = np.argsort(angles, axis=1)
    polygon = np.take_along_axis(offsets, order[..., None], axis=1)
    ranked = np.take_along_axis(valid, order, axis=1)
    polygon = np.where(ranked[..., None], polygon, polygon[:, :1])  # the first corner again closes the polygon
    following = np.roll(polygon, -1, axis=1)
    areas = polygon[..., 0] * following[..., 1] - polygon[..., 1] * following[..., 0]
    return np.abs(areas.sum(axis=1)) / 2


def _crossings(first, second):
    """Points (N, 16, 2) where edges of two rectangles cross, and whether they do (N, 16)."""
    along = (np.roll(first, -1, axis=1) - first)[:, :, None]
    across = (np.roll(second, -1, axis=1) - second)[:, None]
    between = second[:, None] - first[:, :, None]
    scale = along[..., 0] * across[..., 1] - along[..., 1] * across[..., 0]
    parallel = np.abs(scale) < _TINY
    scale = np.where(parallel, 1, scale)
    t = (between[..., 0] * across[..., 1] - between[..., 1] * across[..., 0]) / scale
    u = (between[..., 0] * along[..., 1] - between[..., 1] * along[..., 0]) / scale
    crossed = ~parallel & (t >= 0) & (t <= 1) & (u >= 0) & (u <= 1)
    points = first[:, :, None] + t[..., None] * along
    return points.reshape(len(first), -1, 2), crossed.reshape(len(first), -1)


def _inside(corners, rectangles):
    """(N, 4) whether corners (N, 4, 2) lie in rectangles (N, 5), borders included."""
    offset = corners - rectangles[:, None, :2]
    cos, sin = np.cos(rectangles[:, 4:5]), np.sin(rectangles[:, 4:5])
    along = np.abs(cos * offset[..., 0] + sin * offset[..., 1])
    across = np.abs(cos * offset[..., 1] - sin * offset[..., 0])
    return (along <= rectangles[:, 2:3] / 2 + _TINY) & (across <= rectangles[:, 3:4] / 2 + _TINY)
