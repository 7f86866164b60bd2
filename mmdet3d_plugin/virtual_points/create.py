"""Virtual points of one LiDAR sweep: gathering its inputs, and making the points from them."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from dualdistill_runtime.detection_classes import DETECTION_CLASSES

from ..datasets.lidar_file import decode_lidar
from ..datasets.virtual_point_files.storage import VirtualPoints
from .instance_masks import MissingMasksError
from .lift import lift_instances

# Raised whenever the same inputs and settings give other points, so that old files count as outdated.
METHOD_VERSION = 1


@dataclass(frozen=True)
class VirtualPointSettings:
    """What decides the points besides the inputs.

    Attributes:
        num_points (int): Virtual points per instance.
        min_score (float): Instances with a lower score are left out.
        seed (int): Seed of the drawn pixels, together with the sweep's file name and the camera.

    Raises:
        ValueError: On a setting out of range.
    """

    num_points: int = 50
    min_score: float = 0.0
    seed: int = 0

    def __post_init__(self):
        if self.num_points < 1 or not 0 <= self.min_score <= 1 or self.seed < 0:
            raise ValueError(f'need num_points >= 1, 0 <= min_score <= 1 and seed >= 0, got {self}')


@dataclass(frozen=True)
class SweepInputs:
    """Everything the points of a sweep are made from.

    Attributes:
        sweep (LidarSweep): Paths and transforms.
        lidar (bytes): Content of the LiDAR file.
        masks (list): For each image of the sweep the bytes of its masks, None where there are none.
        missing (list[str]): What was looked for and is not there.
    """

    sweep: object
    lidar: bytes
    masks: list
    missing: list

    def fingerprint(self, settings):
        """str: Digest of inputs and settings, equal if and only if all of them are."""
        digest = hashlib.blake2b(digest_size=16)
        stamp = dict(method=METHOD_VERSION, **asdict(settings), lidar=self.sweep.record)
        digest.update(json.dumps(stamp, sort_keys=True).encode())
        digest.update(self.lidar)
        for image, raw in zip(self.sweep.images, self.masks):
            stamp = dict(image.record, intrinsic=image.intrinsic.tolist(), masks=None if raw is None else len(raw))
            digest.update(json.dumps(stamp, sort_keys=True).encode() + (raw or b''))
        return digest.hexdigest()


def gather_inputs(sweep, data_root, reader):
    """Read the files of a sweep.

    Args:
        sweep (LidarSweep): Sweep.
        data_root (str | Path): nuScenes data root.
        reader (MaskReader): Source of masks.

    Returns:
        SweepInputs: With ``missing`` where images have no masks.

    Raises:
        FileNotFoundError: The LiDAR file is missing.
    """
    lidar = (Path(data_root) / sweep.path).read_bytes()
    masks, missing = [], []
    for image in sweep.images:
        try:
            masks.append(reader.raw(image))
        except MissingMasksError as error:
            masks.append(None)
            missing.append(str(error))
    return SweepInputs(sweep, lidar, masks, missing)


def make_virtual_points(inputs, reader, settings, tally):
    """Painted and virtual points of one sweep.

    A LiDAR point in masks of several images takes the class and score of the one with the highest score.

    Args:
        inputs (SweepInputs): Content of all files.
        reader (MaskReader): Source of the masks.
        settings (VirtualPointSettings): Settings.
        tally (Tally): Counts instances and points.

    Returns:
        VirtualPoints: In the sweep's LiDAR frame, with the fingerprint of the inputs.

    Raises:
        ValueError, MaskFileError: A file is damaged; the message names it.
    """
    points = decode_lidar(inputs.lidar, inputs.sweep.path)
    xyz = points[:, :3].astype(np.float64)
    label, score = np.full(len(points), -1, dtype=np.int64), np.full(len(points), -1.0)
    virtual = [np.zeros((0, 3 + len(DETECTION_CLASSES) + 1))]
    for image, raw in zip(inputs.sweep.images, inputs.masks):
        if raw is None:
            continue
        instances = _instances(reader.parse(raw, image), settings.min_score, tally)
        lifted = lift_instances(xyz, image, instances, settings.num_points, _rng(settings, inputs, image))
        labels = np.array([instance.label for instance in instances], dtype=np.int64)
        scores = np.array([instance.score for instance in instances])
        virtual.append(_rows(lifted.virtual_xyz, labels[lifted.virtual_owner], scores[lifted.virtual_owner]))
        index = np.flatnonzero(lifted.owner >= 0)
        index = index[scores[lifted.owner[index]] > score[index]]
        label[index], score[index] = labels[lifted.owner[index]], scores[lifted.owner[index]]
        tally.add('instances', count=len(instances))
        tally.add('instances without a LiDAR point: no virtual points', count=lifted.without_points)
    painted = np.flatnonzero(label >= 0)
    result = VirtualPoints(
        real_points=_rows(points[painted, :4], label[painted], score[painted]).astype(np.float32),
        virtual_points=np.concatenate(virtual).astype(np.float32),
        fingerprint=inputs.fingerprint(settings),
    )
    tally.add('painted points', count=len(result.real_points))
    tally.add('virtual points', count=len(result.virtual_points))
    return result


def _instances(masks, min_score, tally):
    """list[InstanceMask]: Those with a high enough score; the others are counted."""
    for reason, count in masks.left_out.items():
        tally.add(f'instances left out: {reason}', count=count)
    kept = [instance for instance in masks.instances if instance.score >= min_score]
    tally.add('instances left out: low score', count=len(masks.instances) - len(kept))
    return kept


def _rng(settings, inputs, image):
    """np.random.Generator: Depends on seed, sweep and camera alone, not on who works on what in which order."""
    name = f'{PurePosixPath(inputs.sweep.path).name} {image.channel}'
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return np.random.default_rng([settings.seed, int.from_bytes(digest, 'little')])


def _rows(values, labels, scores):
    """(n, values + 11): ``values``, one-hot class, score."""
    one_hot = np.eye(len(DETECTION_CLASSES))[labels]
    return np.concatenate([values, one_hot, scores[:, None]], axis=1)
