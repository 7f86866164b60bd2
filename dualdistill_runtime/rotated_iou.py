"""Overlap of turned rectangles in the ground plane."""

from __future__ import annotations

import numpy as np

_SIGNS = np.array([(-0.5, 0.5), (0.5, 0.5), (0.5, -0.5), (-0.5, -0.5)])  # clockwise
_TINY = 1e-9


def corners_of(rectangles: np.ndarray) -> np.ndarray:
    """(N, 4, 2) corners of (N, 5) x, y, length, width, yaw (rad, counter-clockwise)."""
    local = _SIGNS * rectangles[:, None, 2:4]
    cos, sin = np.cos(rectangles[:, 4:5]), np.sin(rectangles[:, 4:5])
    turned = np.stack([cos * local[..., 0] - sin * local[..., 1], sin * local[..., 0] + cos * local[..., 1]], axis=-1)
    return rectangles[:, None, :2] + turned


def rotated_iou(first: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N,) intersection over union of one rectangle (5,) with others (N, 5), see :func:`corners_of`."""
    first, others = np.asarray(first, dtype=np.float64), np.asarray(others, dtype=np.float64)
    iou = np.zeros(len(others))
    reach = (np.hypot(*first[2:4]) + np.hypot(others[:, 2], others[:, 3])) / 2
    near = np.flatnonzero(np.hypot(*(others[:, :2] - first[:2]).T) < reach)
    if not len(near):
        return iou
    # about the first centre: coordinates of a map's rim would cost digits
    centre = np.array([*first[:2], 0, 0, 0])
    pairs = others[near] - centre
    shared = _intersections(np.repeat((first - centre)[None], len(near), axis=0), pairs)
    area = first[2] * first[3] + pairs[:, 2] * pairs[:, 3] - shared
    iou[near] = np.where(area > 0, shared / np.maximum(area, _TINY), 0)
    return iou


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
