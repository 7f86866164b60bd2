"""Random state that depends on the epoch alone, so that a resumed run repeats the uninterrupted one."""

import random

import numpy as np
import torch
from mmcv.runner import HOOKS, Hook


def epoch_seed(seed, epoch, rank):
    """Mix run seed, epoch and rank into one 32-bit seed.

    Args:
        seed (int): Seed of the run, >= 0.
        epoch (int): Epoch about to start, from 0.
        rank (int): Process rank; ranks differ so that they do not draw the same augmentation.

    Returns:
        int: Seed in [0, 2**32).
    """
    return int(np.random.SeedSequence([seed, epoch, rank]).generate_state(1)[0])


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Reseed python, numpy and torch at the start of every training epoch from (run seed, epoch, rank).

    Data-loader workers follow: torch derives each worker's python, numpy and torch seeds from a number it draws in the
    main process when the epoch's workers start, so they differ between workers and between epochs and repeat after a
    resume. mmdet's own worker seeding is the same in every epoch (every epoch would see one and the same augmentation);
    it is removed from the loader here.

    The seed is the runner's ``meta['seed']``, which a checkpoint carries along.
    """

    def before_train_epoch(self, runner):
        """Seed this process for the epoch; the loader starts its workers afterwards.

        Raises:
            ValueError: The runner has no seed, or the loader keeps its workers (and their random state) between epochs.
        """
        self.start_epoch(runner, runner.epoch, runner.data_loader)

    def start_epoch(self, runner, epoch, loader):
        """Seed this process for an epoch of a loader; runners without ``before_train_epoch`` call this themselves.

        Raises:
            ValueError: As :meth:`before_train_epoch`.
        """
        seed = (runner.meta or {}).get('seed')
        if seed is None:
            raise ValueError("EpochSeedHook needs a seed in the runner's meta: set `seed` in the config or pass --seed")
        if getattr(loader, 'persistent_workers', False):
            raise ValueError(
                'EpochSeedHook cannot reseed persistent workers, so a resumed run would differ: '
                'set data.persistent_workers=False (or remove the hook)'
            )
        mixed = epoch_seed(seed, epoch, runner.rank)
        random.seed(mixed)
        np.random.seed(mixed)
        torch.manual_seed(mixed)
        loader.worker_init_fn = None
