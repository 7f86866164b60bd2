"""Inference over a data set, in one process or many."""

from __future__ import annotations

import os.path as osp
from typing import Any

from mmcv import Config
from mmcv.runner import get_dist_info
from mmdet.apis import multi_gpu_test, single_gpu_test
from mmdet.datasets import build_dataloader
from mmdet3d.datasets import build_dataset
from torch import nn
from torch.utils.data import DataLoader, Dataset

from .distributed import pick_device, wrap_model
from .preflight import check_data
from .scene_order import SceneShare, check_one_at_a_time, predict_scenes


def build_test_loader(
    cfg: Config, distributed: bool, split: str = 'test', model: nn.Module | None = None
) -> tuple[Dataset, DataLoader]:
    """Data set and loader of ``cfg.data[split]``, in order, one sample at a time unless the config says more.

    A detector that remembers frames gets whole scenes, see :class:`SceneShare`.

    Args:
        cfg: Whole config after :func:`mmdet.utils.compat_cfg`, which gathers loader arguments in
            ``data.<split>_dataloader``.
        distributed: Give each process its share.
        split: 'val' or 'test'.
        model: Detector to test; looked at when it has ``sequential``.

    Returns:
        Data set and loader.

    Raises:
        FileNotFoundError: Files of the data set are missing.
        ValueError: More than one sample at a time for a detector that remembers frames, or a data set that does not
            tell which samples follow each other.
    """
    dataset = build_dataset(cfg.data[split], dict(test_mode=True))
    check_data(dataset)
    options = dict(samples_per_gpu=1, workers_per_gpu=2)
    options.update(cfg.data.get(f'{split}_dataloader', {}))
    if model is None or not getattr(model, 'sequential', False):
        return dataset, build_dataloader(dataset, dist=distributed, shuffle=False, **options)
    check_one_at_a_time(model, options['samples_per_gpu'], f'data.{split}_dataloader.samples_per_gpu')
    share = SceneShare(dataset, *get_dist_info()) if distributed else SceneShare(dataset)
    return dataset, build_dataloader(share, dist=False, shuffle=False, **options)


def run_inference(
    model: nn.Module, loader: DataLoader, distributed: bool, work_dir: str
) -> list[dict[str, Any]] | None:
    """Predictions for every sample of a loader, in data-set order.

    Args:
        model: Detector, not wrapped.
        loader: From :func:`build_test_loader` for this detector.
        distributed: Several processes share the loader.
        work_dir: Where the processes exchange their results.

    Returns:
        One entry per sample on rank 0, None on the other ranks.
    """
    if isinstance(loader.dataset, SceneShare):
        return predict_scenes(wrap_model(model, pick_device(), distributed=False), loader)
    wrapped = wrap_model(model, pick_device(), distributed)
    if not distributed:
        return single_gpu_test(wrapped, loader)
    results = multi_gpu_test(wrapped, loader, tmpdir=osp.join(work_dir, '.test_results'))
    return results if get_dist_info()[0] == 0 else None
