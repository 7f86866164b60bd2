"""Which scenes of a data set are labelled, when only a part of them shall be."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from mmcv.utils import print_log

USES = ('all', 'labelled', 'unlabelled')


@dataclass(frozen=True)
class LabelledScenes:
    """Choice of labelled scenes, a data set's ``labelled`` entry.

    A share is drawn scene by scene: each scene has a number that follows from its name and the seed alone, and those
    with the smallest numbers are labelled. So 10 % of the scenes are among the 20 % of the same seed, other scenes keep
    their number when some are added, and every info file of the same scenes, 4-D or not, gives the same choice.

    Attributes:
        share: part of the scenes that is labelled, rounded to whole scenes, at least one; or
        scenes: names of the labelled scenes, or a text file with one a line; empty: no scene is labelled.
        seed: of the share's draw.
        use: samples that the data set keeps, 'all', 'labelled' or 'unlabelled'.
        times: how often an epoch has each labelled sample, as in mmdet's ``RepeatDataset``. With few of them, epochs
            would be so short that their starts take most of the time.
    """

    share: float | None = None
    scenes: Sequence[str] | str | None = None
    seed: int = 0
    use: str = 'all'
    times: int = 1

    def __post_init__(self) -> None:
        if (self.share is None) == (self.scenes is None):
            raise ValueError(f'labelled takes either a share or scenes, got share={self.share}, scenes={self.scenes}')
        if self.share is not None and not 0 < self.share <= 1:
            raise ValueError(f'labelled: share must be above 0 and at most 1, got {self.share}; none: scenes=[]')
        if self.use not in USES:
            raise ValueError(f'labelled: use must be one of {USES}, got {self.use!r}')
        if self.times < 1 or int(self.times) != self.times:
            raise ValueError(f'labelled: times must be a whole number of at least 1, got {self.times}')
        if isinstance(self.scenes, str) and not os.path.isfile(self.scenes):
            raise ValueError(f'labelled: no file {self.scenes}: give one with a name a line, or a list of names')

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> LabelledScenes:
        """Choice of a config entry.

        Raises:
            ValueError: unknown keys, or values that choose nothing.
        """
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(settings) - set(known))
        if unknown:
            raise ValueError(f'labelled takes {", ".join(known)}, got {unknown}')
        return cls(**settings)

    def names(self, scenes: Iterable[str]) -> set[str]:
        """Labelled ones among the names of all scenes.

        Raises:
            ValueError: a name that none of them has.
        """
        known = set(scenes)
        if self.share is not None:
            count = max(1, round(self.share * len(known)))
            return set(sorted(known, key=self._number)[:count])
        wanted = set(self._lines() if isinstance(self.scenes, str) else self.scenes or ())
        absent = sorted(wanted - known)
        if absent:
            raise ValueError(
                f'labelled: the infos have no scene {", ".join(absent[:10])}; they have {len(known)} others'
            )
        return wanted

    def choose(self, scene_of: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Samples to keep, and which of these are labelled.

        Args:
            scene_of: name of the scene of each of N samples.

        Returns:
            (K,) int64 indices, in order, behind them ``times`` - 1 more rows of the labelled ones; and (K,) bool.

        Raises:
            ValueError: nothing is left.
        """
        names = self.names(scene_of)
        labelled = np.array([scene in names for scene in scene_of], dtype=bool)
        keep = dict(all=np.ones_like(labelled), labelled=labelled, unlabelled=~labelled)[self.use]
        if not keep.any():
            raise ValueError(
                f'labelled: {len(names)} of {len(set(scene_of))} scenes are labelled: use={self.use!r} keeps no sample'
            )
        indices = np.flatnonzero(keep)
        indices = np.concatenate([indices, np.tile(indices[labelled[indices]], self.times - 1)])
        return indices, labelled[indices]

    def _number(self, scene):
        return hashlib.sha256(f'{self.seed} {scene}'.encode()).hexdigest(), scene

    def _lines(self):
        with open(self.scenes, encoding='utf-8') as file:
            return [line for line in map(str.strip, file) if line]


def choose_samples(
    choice: LabelledScenes | None, scene_of: Sequence[str], what: str, kind: str
) -> tuple[np.ndarray, np.ndarray]:
    """Samples to keep, and which of them are labelled; says in the log what was chosen.

    Args:
        choice: None keeps and labels all.
        scene_of: name of the scene of each of N samples.
        what: file, for the log.
        kind: of the infos; those of the unlabelled kind are never labelled.

    Returns:
        as :meth:`LabelledScenes.choose` says.

    Raises:
        ValueError: nothing is left, or labelled samples shall be repeated where there are none.
    """
    if choice is None:
        return np.arange(len(scene_of)), np.full(len(scene_of), kind != 'unlabelled')
    if kind == 'unlabelled' and choice.times > 1:
        raise ValueError(f'{what}: labelled: times={choice.times} repeats labelled samples, and this file has none')
    indices, labelled = choice.choose(scene_of)
    labelled &= kind != 'unlabelled'
    kept = [scene_of[index] for index in indices]
    scenes = sorted({scene for scene, told in zip(kept, labelled) if told})
    named = f' ({", ".join(scenes[:10])}{", ..." if len(scenes) > 10 else ""})' if scenes else ''
    print_log(
        f'{what}: {labelled.sum()} of {len(labelled)} samples are labelled, {len(scenes)} of {len(set(kept))} '
        f'scenes{named}{f"; each of these comes {choice.times} times" if choice.times > 1 else ""}',
        logger='mmdet3d',
    )
    return indices, labelled
