"""A labelled and an unlabelled data set in one, with a fixed number of samples of each in every batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmdet3d.datasets import build_dataset
from mmdet3d.datasets.builder import DATASETS
from torch.utils.data import Dataset, Sampler

from .ratio_sampler import RatioSampler
from .wrapped import completed, wrapped_datasets


@DATASETS.register_module()
class LabelledAndUnlabelled(Dataset):
    """Samples of a labelled data set, then those of an unlabelled one; every batch has both, in the same ratio::

        train = dict(type='LabelledAndUnlabelled', labelled=dict(type='NuScenesBEVDataset', ...),
                     scenes=dict(share=0.2, seed=0), ratio=(1, 1))

    An epoch has every labelled sample once. See :class:`RatioSampler` for the unlabelled ones.

    Args:
        labelled (dict | Dataset): Data set whose samples all have labels, class-balanced or not.
        unlabelled (dict | list[dict] | Dataset, optional): Data set, or several, whose samples have none. A dict
            without ``type`` is the data set that ``labelled`` reads, without class balance and choice of scenes, with
            these entries replaced, such as ``ann_file``. Default: that data set's scenes that are not labelled.
        scenes (dict, optional): Which scenes are labelled, as in :class:`LabelledScenes` without ``use``; default: as
            ``labelled`` itself says.
        ratio (Sequence[int]): Labelled to unlabelled samples of a batch; ``samples_per_gpu`` is a multiple of the sum.

    Raises:
        ValueError: The classes differ, a data set has samples that belong to the other, the ratio has a zero, or
            ``scenes`` has a ``use``.
    """

    def __init__(
        self,
        labelled: Mapping[str, Any] | Dataset,
        unlabelled: Mapping[str, Any] | Sequence[Mapping[str, Any]] | Dataset | None = None,
        scenes: Mapping[str, Any] | None = None,
        ratio: Sequence[int] = (1, 1),
    ) -> None:
        if unlabelled is None and scenes is None:
            raise ValueError(
                'LabelledAndUnlabelled: nothing is unlabelled, give it scenes=dict(share=...) or an unlabelled data set'
            )
        if 'use' in (scenes or {}):
            raise ValueError('LabelledAndUnlabelled: scenes takes no `use`, as both kinds are used; leave it out')
        if unlabelled is None:
            unlabelled = dict(labelled=dict(scenes, use='unlabelled'))
        unlabelled = completed(unlabelled, labelled)
        if scenes is not None:
            labelled = _with_choice(labelled, dict(scenes, use='labelled'))
        parts = (labelled, unlabelled)
        self.datasets = [build_dataset(part) if isinstance(part, (dict, list)) else part for part in parts]
        self.ratio = tuple(ratio)
        if len(self.ratio) != 2 or min(self.ratio) < 1 or any(int(part) != part for part in self.ratio):
            raise ValueError(f'ratio of LabelledAndUnlabelled needs two whole numbers of at least 1, got {ratio}')
        self._check(*self.datasets)
        self.CLASSES = self.datasets[0].CLASSES
        self.flag = np.zeros(len(self), dtype=np.uint8)  # samples of one group, as mmdet's data sets say

    @staticmethod
    def _check(labelled, unlabelled):
        if list(labelled.CLASSES) != list(unlabelled.CLASSES):
            raise ValueError(
                f'LabelledAndUnlabelled: the labelled part has the classes {list(labelled.CLASSES)}, the unlabelled '
                f'one {list(unlabelled.CLASSES)}: make names and order the same'
            )
        for name, part, wanted in (('labelled', labelled, True), ('unlabelled', unlabelled, False)):
            told = _told(part)
            if (told != wanted).any():
                raise ValueError(
                    f'LabelledAndUnlabelled: {int((told != wanted).sum())} samples of the {name} part are '
                    f'{"un" if wanted else ""}labelled: give it labelled=dict(..., use={name!r})'
                )

    def __len__(self) -> int:
        return sum(map(len, self.datasets))

    def __getitem__(self, index: int) -> Any:
        first = len(self.datasets[0])
        return self.datasets[0][index] if index < first else self.datasets[1][index - first]

    def make_sampler(self, samples_per_gpu: int, processes: int, rank: int, seed: int) -> Sampler:
        """Order of the samples in training; how a run's data loader asks a data set that has an order of its own."""
        return RatioSampler([len(part) for part in self.datasets], self.ratio, samples_per_gpu, processes, rank, seed)


def _with_choice(cfg, choice):
    """Copy of a data set's config that has this ``labelled`` entry, inside its wrappers."""
    inner = wrapped_datasets(cfg)
    if not inner:
        return {**cfg, 'labelled': choice}
    return {**cfg, **{key: _with_choice(part, choice) for key, part in inner.items()}}


def _told(dataset):
    """Whether samples are labelled, (N,) bool, of a data set or of those that it wraps."""
    if hasattr(dataset, 'datasets'):
        return np.concatenate([_told(part) for part in dataset.datasets])
    if hasattr(dataset, 'dataset'):
        return _told(dataset.dataset)
    return np.atleast_1d(getattr(dataset, 'is_labelled', True))
