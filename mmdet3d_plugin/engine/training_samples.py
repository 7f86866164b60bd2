"""Samples of either split as training sees them."""

from __future__ import annotations

import copy

from mmcv import Config
from mmdet3d.datasets import build_dataset
from torch.utils.data import Dataset

from ..datasets.wrapped import MIXED, first_reader


def samples_as_in_training(cfg: Config, split: str) -> Dataset:
    """The training data set without repetition; for 'val' over the validation samples.

    Samples have labels where training has them, so of a mixed data set the unlabelled scenes come, too.

    Args:
        cfg: config.
        split: 'train' or 'val'.
    """
    data = dict(copy.deepcopy(first_reader(cfg.data.train)))
    if cfg.data.train.get('type') == MIXED and cfg.data.train.get('scenes'):
        data['labelled'] = dict(cfg.data.train.scenes, use='all', times=1)
    if split == 'val':
        data.update(ann_file=cfg.data.val.ann_file, data_root=cfg.data.val.data_root)
        data.pop('labelled', None)  # names training scenes
    return build_dataset(data)
