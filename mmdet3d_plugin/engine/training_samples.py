"""Samples of either split as training sees them."""

from __future__ import annotations

import copy

from mmcv import Config
from mmdet3d.datasets import build_dataset
from torch.utils.data import Dataset

from ..datasets.wrapped import first_reader


def samples_as_in_training(cfg: Config, split: str) -> Dataset:
    """The training data set without class-balanced repetition; for 'val' over the validation samples.

    Args:
        cfg: config.
        split: 'train' or 'val'.
    """
    data = dict(copy.deepcopy(first_reader(cfg.data.train)))
    if split == 'val':
        data.update(ann_file=cfg.data.val.ann_file, data_root=cfg.data.val.data_root)
        data.pop('labelled', None)  # names training scenes
    return build_dataset(data)
