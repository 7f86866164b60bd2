"""From arrays to the tensors and containers that mmcv collates into a batch."""

import numpy as np
import torch
from mmcv.parallel import DataContainer
from mmdet3d.datasets.builder import PIPELINES

STACKED_KEYS = ('img', 'intrins', 'post_rots', 'post_trans', 'cam2lidar', 'frame2cur', 'bev_aug', 'gt_depth')
# Config texts of older runs, in their work folders and checkpoints, ask for the first name.
_RENAMED = {'cam2bev': 'cam2lidar'}
LISTED_KEYS = ('points', 'gt_bboxes_3d', 'gt_labels_3d')
META_KEYS = (
    'sample_idx',
    'scene_token',
    'timestamp',
    'frame_dt',
    'bev_aug',
    'box_type_3d',
    'box_mode_3d',
    'pts_filename',
    'img_filenames',
)


@PIPELINES.register_module()
class FormatBEVInputs:
    """Keeps the keys a model takes and wraps them for ``mmcv.parallel.collate`` and ``MMDataParallel``.

    Training and test samples come out alike, so a batch always reads the same:

    - stacked, float32 tensors (B, ...): img, intrins, post_rots, post_trans, cam2lidar, frame2cur, bev_aug, gt_depth;
    - lists of B: points (M, 5 or 17) float32, gt_bboxes_3d (LiDARInstance3DBoxes), gt_labels_3d (K,) int64;
    - ``img_metas``, a list of B dicts.

    Reads: ``keys`` and those of ``meta_keys`` that the sample has. Returns a new dict of ``keys`` and ``img_metas``.

    Args:
        keys (Sequence[str]): what goes to the model, out of the names above.
        meta_keys (Sequence[str]): what goes to ``img_metas``.

    Raises:
        ValueError: an unknown key in ``keys``.
        KeyError: a sample lacks one of ``keys``.
    """

    def __init__(self, keys, meta_keys=META_KEYS):
        keys = [_RENAMED.get(key, key) for key in keys]
        unknown = sorted(set(keys) - set(STACKED_KEYS) - set(LISTED_KEYS))
        if unknown:
            raise ValueError(f'unknown keys {unknown}; choose from {STACKED_KEYS + LISTED_KEYS}')
        self.keys = tuple(keys)
        self.meta_keys = tuple(meta_keys)

    def __call__(self, results):
        missing = [key for key in self.keys if key not in results]
        if missing:
            raise KeyError(f'no step of the pipeline has written {missing}, which FormatBEVInputs shall collect')
        sample = {key: self._wrap(key, results[key]) for key in self.keys}
        metas = {key: results[key] for key in self.meta_keys if key in results}
        sample['img_metas'] = DataContainer(metas, cpu_only=True)
        return sample

    @staticmethod
    def _wrap(key, value):
        if key in STACKED_KEYS:
            tensor = torch.from_numpy(np.ascontiguousarray(value, dtype=np.float32))
            # pad_dims=None: samples of unequal shape are an error, not something to pad silently
            return DataContainer(tensor, stack=True, pad_dims=None)
        if key == 'gt_bboxes_3d':
            return DataContainer(value, cpu_only=True)
        if key == 'gt_labels_3d':
            return DataContainer(torch.as_tensor(np.asarray(value), dtype=torch.long))
        return DataContainer(value.tensor.float())

    def __repr__(self):
        return f'{type(self).__name__}(keys={self.keys}, meta_keys={self.meta_keys})'
