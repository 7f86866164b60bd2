"""The training loader of a data set that has an order of its own; mmdet's loaders take no sampler."""

from __future__ import annotations

from functools import partial
from typing import Any

from mmcv.parallel import collate
from mmcv.runner import get_dist_info
from mmdet.datasets.builder import worker_init_fn
from torch.utils.data import DataLoader, Dataset


def has_own_order(dataset: Dataset) -> bool:
    """Whether a data set makes its sampler itself, by ``make_sampler(samples_per_gpu, processes, rank, seed)``.

    Raises:
        ValueError: a data set inside a wrapper does, whose order the wrapper would lose.
    """
    if hasattr(dataset, 'make_sampler'):
        return True
    for inner in _inside(dataset):
        if hasattr(inner, 'make_sampler'):
            raise ValueError(
                f'data.train: {type(inner).__name__} chooses what a batch holds, so nothing may wrap it: make it the '
                f'outermost data set, with {type(dataset).__name__} inside'
            )
    return False


def _inside(dataset):
    """All data sets inside mmdet's wrappers and lists."""
    for inner in [dataset.dataset] if hasattr(dataset, 'dataset') else getattr(dataset, 'datasets', []):
        yield inner
        yield from _inside(inner)


def build_ordered_loader(
    dataset: Any,
    *,
    samples_per_gpu: int,
    workers_per_gpu: int,
    seed: int | None,
    persistent_workers: bool = False,
    **options: Any,
) -> DataLoader:
    """What mmdet's ``build_dataloader`` makes, with the data set's own sampler in place of a shuffle.

    Args:
        dataset: see :func:`has_own_order`.
        samples_per_gpu, workers_per_gpu: of each process.
        seed: of the run; None is 0.
        persistent_workers: keep workers between epochs.
        options: further arguments of ``DataLoader``.

    Raises:
        ValueError: options that contradict the order.
    """
    useless = sorted({'shuffle', 'class_aware_sampler', 'sampler', 'batch_sampler'} & set(options))
    if useless:
        raise ValueError(
            f'data.train_dataloader: {type(dataset).__name__} has an order of its own, remove {", ".join(useless)}'
        )
    rank, processes = get_dist_info()
    seeding = partial(worker_init_fn, num_workers=workers_per_gpu, rank=rank, seed=seed)
    return DataLoader(
        dataset,
        batch_size=samples_per_gpu,
        sampler=dataset.make_sampler(samples_per_gpu, processes, rank, seed or 0),
        num_workers=workers_per_gpu,
        collate_fn=partial(collate, samples_per_gpu=samples_per_gpu),
        worker_init_fn=None if seed is None else seeding,
        persistent_workers=persistent_workers,
        **options,
    )
