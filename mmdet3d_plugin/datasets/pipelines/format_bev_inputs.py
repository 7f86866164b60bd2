"""From arrays to the tensors and containers that mmcv collates into a batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmcv.parallel import DataContainer
from mmdet3d.core.bbox import BaseInstance3DBoxes
from mmdet3d.core.points import BasePoints
from mmdet3d.datasets.builder import PIPELINES

# Config texts of older runs, in their work folders and checkpoints, ask for the first name.
_RENAMED = {'cam2bev': 'cam2lidar'}
# What an array becomes, by numpy's letter for the kind of its numbers.
_DTYPE_OF_KIND = {'f': np.float32, 'i': np.int64, 'u': np.int64, 'b': np.bool_}
META_KEYS = (
    'sample_idx',
    'labelled',
    'scene_token',
    'timestamp',
    'frame_dt',
    'frame_tokens',
    'frame_times',
    'ego2global',
    'lidar2ego',
    'bev_aug',
    'box_type_3d',
    'box_mode_3d',
    'pts_filename',
    'img_filenames',
    'img_norm_cfg',
)


@PIPELINES.register_module()
class FormatBEVInputs:
    """Keeps the keys a model takes and wraps them for ``mmcv.parallel.collate`` and ``MMDataParallel``.

    Any key will do: the kind of its value decides what the batch holds. Training and test samples come out alike, so a
    batch always reads the same:

    - arrays and tensors of numbers: one stacked tensor (B, ...), float32 for floating point, int64 for whole numbers,
      bool for truth values. Images of uint8 stay so. All samples must have the same shape;
    - points: a list of B tensors (M, C) float32;
    - boxes: a list of B box objects, on the CPU;
    - labels, keys that begin with ``gt_labels``: a list of B tensors (K,) int64;
    - ``img_metas``: a list of B dicts.

    Reads: ``keys`` and those of ``meta_keys`` that the sample has. Returns a new dict of ``keys`` and ``img_metas``.

    Args:
        keys (Sequence[str]): what goes to the model.
        meta_keys (Sequence[str]): what goes to ``img_metas``, as it is.

    Raises:
        KeyError: a sample lacks one of ``keys``.
        TypeError: a value is of none of these kinds.
    """

    def __init__(self, keys: Sequence[str], meta_keys: Sequence[str] = META_KEYS):
        self.keys = tuple(_RENAMED.get(key, key) for key in keys)
        self.meta_keys = tuple(meta_keys)

    def __call__(self, results):
        missing = [key for key in self.keys if key not in results]
        if missing:
            raise KeyError(f'no step of the pipeline has written {missing}, which FormatBEVInputs shall collect')
        sample = {key: _wrap(key, results[key]) for key in self.keys}
        metas = {key: results[key] for key in self.meta_keys if key in results}
        sample['img_metas'] = DataContainer(metas, cpu_only=True)
        return sample

    def __repr__(self):
        return f'{type(self).__name__}(keys={self.keys}, meta_keys={self.meta_keys})'


def _wrap(key, value):
    """Value of a sample -> the container that mmcv makes the batch's value from."""
    if isinstance(value, BaseInstance3DBoxes):
        return DataContainer(value, cpu_only=True)
    if isinstance(value, BasePoints):
        return DataContainer(value.tensor.float())
    if key.startswith('gt_labels'):
        return DataContainer(torch.as_tensor(np.asarray(value), dtype=torch.long))
    array = value.numpy() if isinstance(value, torch.Tensor) else value
    if not isinstance(array, np.ndarray) or array.dtype.kind not in _DTYPE_OF_KIND:
        found = f'an array of {array.dtype}' if isinstance(array, np.ndarray) else f'a {type(value).__name__}'
        raise TypeError(
            f'FormatBEVInputs cannot make a batch of {key!r}, {found}: `keys` may name arrays or tensors of numbers, '
            f'points, boxes and gt_labels...; what the model gets as it is belongs into `meta_keys`'
        )
    stays = key == 'img' and array.dtype == np.uint8
    array = np.asarray(array, dtype=np.uint8 if stays else _DTYPE_OF_KIND[array.dtype.kind], order='C')
    # pad_dims=None: samples of unequal shape are an error, not something to pad silently
    return DataContainer(torch.from_numpy(array), stack=True, pad_dims=None)
