import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mmdet3d_plugin.hooks import EpochSeedHook
from mmdet3d_plugin.hooks.epoch_seed import epoch_seed


def draws(seed=0, epoch=0, rank=0, **loader):
    runner = SimpleNamespace(
        meta=dict(seed=seed), epoch=epoch, rank=rank, data_loader=SimpleNamespace(worker_init_fn=print, **loader)
    )
    EpochSeedHook().before_train_epoch(runner)
    assert runner.data_loader.worker_init_fn is None
    return random.random(), np.random.rand(), float(torch.rand(()))


def test_every_generator_follows_seed_epoch_and_rank_alone():
    reference = draws()
    random.random(), np.random.rand(), torch.rand(3)
    assert draws() == reference
    for other in (draws(seed=1), draws(epoch=1), draws(rank=1)):
        assert all(a != b for a, b in zip(other, reference))


def test_seeds_do_not_collide_between_neighbouring_runs():
    seeds = {epoch_seed(seed, epoch, rank) for seed in range(8) for epoch in range(24) for rank in range(8)}
    assert len(seeds) == 8 * 24 * 8
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_a_run_without_seed_is_refused():
    with pytest.raises(ValueError, match='set `seed` in the config or pass --seed'):
        draws(seed=None)


def test_persistent_workers_are_refused():
    with pytest.raises(ValueError, match='data.persistent_workers=False'):
        draws(persistent_workers=True)
