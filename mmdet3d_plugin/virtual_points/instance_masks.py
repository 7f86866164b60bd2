"""Instance masks of camera images: what virtual points are made from, and how a source of them looks."""

from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass, field

import numpy as np


class MaskFileError(ValueError):
    """A mask file that is not what it should be; the message names it and what is wrong."""


class MissingMasksError(FileNotFoundError):
    """There are no masks of an image."""


@dataclass(frozen=True)
class InstanceMask:
    """One instance in one image.

    Attributes:
        label (int): Index into ``DETECTION_CLASSES``.
        score (float): 0 to 1.
        left (int), top (int): Column and row of the crop's first pixel, px.
        mask (np.ndarray): (h, w) bool, the crop around the instance's pixels; at least one is set.
    """

    label: int
    score: float
    left: int
    top: int
    mask: np.ndarray


@dataclass(frozen=True)
class ImageMasks:
    """Instances of one image (list[InstanceMask]) and how many were left out, by reason."""

    instances: list
    left_out: Counter = field(default_factory=Counter)


class MaskReader(ABC):
    """A source of instance masks. Reading is split in two, so that a resumed run can tell from the bytes alone whether
    the masks changed."""

    @abstractmethod
    def raw(self, image):
        """bytes: Everything that is stored about the masks of a :class:`~.sweeps.CameraImage`.

        Raises:
            MissingMasksError: Nothing is stored; the message names what was looked for.
        """

    @abstractmethod
    def parse(self, raw, image):
        """ImageMasks: Content of ``raw``.

        Raises:
            MaskFileError: Damaged, of another image size, or otherwise not usable.
        """


def crop_instance(label, score, mask, left=0, top=0):
    """InstanceMask of a mask (h, w), cut to its pixels; None when no pixel is set. ``left``, ``top``: its place."""
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    cut = np.ascontiguousarray(mask[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1], dtype=bool)
    return InstanceMask(label, score, left + int(cols[0]), top + int(rows[0]), cut)
