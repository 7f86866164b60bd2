"""Samples of either split as training sees them."""

from __future__ import annotations

import copy

from mmcv import Config
from mmdet3d.datasets import build_dataset
from torch.utils.data import Dataset

from ..datasets.wrapped import first_reader


def samples_as_in_training(cfg: Config, split: str) -> Dataset:
    """The training data set without class-balanced repetition and without choice of labels.

    Args:
        cfg: config.
        split: 'train', or 'val' for the validation samples, through the training pipeline.
    """
    data = copy.deepcopy(first_reader(cfg.data.train))
    data.pop('labelled', None)
    if split == 'val':
        data.update(ann_file=cfg.data.val.ann_file, data_root=cfg.data.val.data_root)
    return build_dataset(data)
