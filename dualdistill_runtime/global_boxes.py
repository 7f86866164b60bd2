"""Boxes of many samples, in each keyframe's LiDAR frame -> boxes in the global frame, at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from .box_arrays import BoxArrays, hamilton_product
from .detection_classes import DETECTION_CLASSES
from .poses import rotation_matrices

# In the order of the devkit's constant of this name, so that an index means the same there.
ATTRIBUTE_NAMES = (
    'pedestrian.moving',
    'pedestrian.sitting_lying_down',
    'pedestrian.standing',
    'cycle.with_rider',
    'cycle.without_rider',
    'vehicle.moving',
    'vehicle.parked',
    'vehicle.stopped',
)
MAX_BOXES_PER_SAMPLE = 500  # more is an error to the devkit
MOVING_SPEED = 0.2  # m/s
_VEHICLES = ('car', 'truck', 'construction_vehicle', 'bus', 'trailer')
# The detectors predict no attribute. The most likely one given class and speed, as mmdet3d chooses it.
ATTRIBUTE_MOVING = {
    **dict.fromkeys(_VEHICLES, 'vehicle.moving'),
    **dict.fromkeys(('motorcycle', 'bicycle'), 'cycle.with_rider'),
    'pedestrian': 'pedestrian.moving',
}
ATTRIBUTE_STILL = {
    **dict.fromkeys(_VEHICLES, 'vehicle.parked'),
    **dict.fromkeys(('motorcycle', 'bicycle'), 'cycle.without_rider'),
    'bus': 'vehicle.stopped',
    'pedestrian': 'pedestrian.standing',
}


def attribute_name(class_name: str, speed: float) -> str:
    """Attribute of a box by its class and speed (m/s); '' for classes without attributes."""
    return (ATTRIBUTE_MOVING if speed > MOVING_SPEED else ATTRIBUTE_STILL).get(class_name, '')


def _attribute_indices(speed):
    """(classes,) index into ``ATTRIBUTE_NAMES`` of a class at a speed, -1 for none."""
    names = [attribute_name(name, speed) for name in DETECTION_CLASSES]
    return np.array([ATTRIBUTE_NAMES.index(name) if name else -1 for name in names])


_STILL, _MOVING = _attribute_indices(0.0), _attribute_indices(2 * MOVING_SPEED)


@dataclass(frozen=True)
class Keyframes:
    """Samples and their poses at the LiDAR's time.

    Tokens are (S,) strings, translations (S, 3) in metres, rotations (S, 4) quaternions w, x, y, z, all float64.
    """

    tokens: np.ndarray
    ego2global_translation: np.ndarray
    ego2global_rotation: np.ndarray
    lidar2ego_translation: np.ndarray
    lidar2ego_rotation: np.ndarray

    @classmethod
    def of(cls, infos: Iterable[Mapping]) -> Keyframes:
        """Taken from infos."""
        names = [field.name for field in fields(cls)[1:]]
        rows = [(info['token'], *(info[name] for name in names)) for info in infos]
        tokens, *poses = zip(*rows)
        return cls(np.array(tokens, dtype=object), *(np.array(pose, dtype=np.float64) for pose in poses))

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, part: slice) -> Keyframes:
        return Keyframes(*(getattr(self, field.name)[part] for field in fields(self)))


def possible(numbers: np.ndarray) -> np.ndarray:
    """(N,) bool: which of (N, 9) boxes a submission can hold: all numbers finite, sizes positive."""
    return np.isfinite(numbers).all(axis=1) & (numbers[:, 3:6] > 0).all(axis=1)


def converted(
    columns: Mapping[str, np.ndarray],
    keyframes: Keyframes,
    class_names: Sequence[str],
    class_range: Mapping[str, float],
) -> BoxArrays:
    """Boxes in the global frame, without those beyond their class's range, at most 500 a sample, best first.

    Args:
        columns: ``numbers`` (N, 9) x, y, z of the bottom's centre, l, w, h, yaw, vx, vy in the LiDAR frame, all of them
            :func:`possible`; ``scores`` and ``labels`` (N,); ``sample`` (N,) row of ``keyframes``.
        keyframes: Of the samples.
        class_names: Names of the labels.
        class_range: Evaluation range of each class around the ego vehicle, metres.

    Raises:
        ValueError: A score is not finite, or a label is none of ``class_names``.
    """
    numbers, sample = columns['numbers'], columns['sample']
    scores, labels = _checked(columns, keyframes, class_names)
    rotation, translation = _lidar_to_global(keyframes)
    centre = numbers[:, :3] + numbers[:, 5:6] * [0, 0, 0.5]  # from the bottom's to gravity's
    centre = np.einsum('nij,nj->ni', rotation[sample], centre) + translation[sample]
    near = _in_range(centre, labels, keyframes.ego2global_translation[sample], class_range)
    rows = _best_first(sample, scores, near)
    sample, labels, numbers = sample[rows], labels[rows], numbers[rows]
    velocity = np.einsum('nij,nj->ni', rotation[sample][:, :2, :2], numbers[:, 7:9])
    moves = np.hypot(velocity[:, 0], velocity[:, 1]) > MOVING_SPEED
    return BoxArrays(
        sample=sample,
        label=labels,
        score=scores[rows],
        translation=centre[rows],
        size=numbers[:, [4, 3, 5]],
        rotation=_headings(keyframes, sample, numbers[:, 6]),
        velocity=velocity,
        attribute=np.where(moves, _MOVING[labels], _STILL[labels]),
        num_points=np.full(len(rows), -1),
    )


def _checked(columns, keyframes, class_names):
    """Scores (N,) and labels (N,) into ``DETECTION_CLASSES``."""
    scores, labels, tokens = columns['scores'], columns['labels'], keyframes.tokens[columns['sample']]
    strange = np.flatnonzero(~np.isfinite(scores))
    if len(strange):
        raise ValueError(f'sample {tokens[strange[0]]}: a predicted box or score is not finite')
    foreign = np.flatnonzero((labels < 0) | (labels >= len(class_names)))
    if len(foreign):
        raise ValueError(
            f'sample {tokens[foreign[0]]}: a detection has label {labels[foreign[0]]}, but the data set has '
            f'{len(class_names)} class(es), {list(class_names)}: give the data set the classes of the detection head'
        )
    return scores, np.array([DETECTION_CLASSES.index(name) for name in class_names])[labels]


def _lidar_to_global(keyframes):
    """Rotations (S, 3, 3) and translations (S, 3)."""
    ego = rotation_matrices(keyframes.ego2global_rotation)
    translation = np.einsum('nij,nj->ni', ego, keyframes.lidar2ego_translation) + keyframes.ego2global_translation
    return ego @ rotation_matrices(keyframes.lidar2ego_rotation), translation


def _in_range(centre, labels, ego, class_range):
    """(N,) bool: nearer to the ego vehicle, in the ground plane, than the range of the class."""
    limits = np.array([class_range.get(name, 0.0) for name in DETECTION_CLASSES], dtype=np.float64)
    return ground_distance(centre, ego) < limits[labels]


def ground_distance(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N,) distances of points (N, 2 or more) in the ground plane."""
    offset = points[:, :2] - others[:, :2]
    return np.sqrt(offset[:, 0] ** 2 + offset[:, 1] ** 2)


def _best_first(sample, scores, near):
    """Rows that are near, by sample, best first, at most 500 of a sample."""
    rows = np.flatnonzero(near)
    rows = rows[np.lexsort((-scores[rows], sample[rows]))]
    rank = np.arange(len(rows)) - np.searchsorted(sample[rows], sample[rows])
    return rows[rank < MAX_BOXES_PER_SAMPLE]


def _headings(keyframes, sample, yaw):
    """Quaternions (N, 4) of boxes turned by ``yaw`` (N,) about their LiDAR's z axis, in the global frame."""
    mount = hamilton_product(keyframes.ego2global_rotation, keyframes.lidar2ego_rotation)
    mount /= np.linalg.norm(mount, axis=1, keepdims=True)
    turn = np.zeros((len(yaw), 4))
    turn[:, 0], turn[:, 3] = np.cos(yaw / 2), np.sin(yaw / 2)
    return hamilton_product(mount[sample], turn)
