"""mmcv's two runners, whose checkpoints are written whole and resume exactly, within an epoch too."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Callable

from mmcv.runner import RUNNERS, BaseRunner, EpochBasedRunner, IterBasedRunner, save_checkpoint
from torch.utils.data import DataLoader

from ..hooks.epoch_seed import EpochSeedHook
from .checkpoint_files import point_latest, whole_file

# what a config names, and what is built for it
RESUMABLE = {
    'EpochBasedRunner': 'ResumableEpochRunner',
    'Runner': 'ResumableEpochRunner',
    'IterBasedRunner': 'ResumableIterRunner',
}


class _Resumable(BaseRunner):
    """What both runners share: where they are, and how they save."""

    _stage = ''
    _skip = 0
    _epoch: int
    _iter: int
    _inner_iter: int
    _arrived: Callable[[Any], None]  # given with batches to skip

    def call_hook(self, fn_name: str) -> None:
        """Call all hooks, and remember at which point of the run they are called."""
        self._stage = fn_name
        super().call_hook(fn_name)

    def run(self, data_loaders: Sequence[Any], workflow: list[tuple[str, int]], **kwargs: Any) -> None:
        """As mmcv's; hooks that are called before the first epoch find the loader as well."""
        self.data_loader = data_loaders[0]
        super().run(data_loaders, workflow, **kwargs)

    def continue_within_epoch(self, batches: int, arrived: Callable[[Any], None]) -> None:
        """Skip batches of the epoch that was under way: they are loaded, so that the data loader's workers draw the
        random numbers that they drew the first time, and dropped.

        Args:
            batches: How many.
            arrived: Called with the runner after the last of them, before the next one is loaded.
        """
        self._skip, self._arrived = batches, arrived

    def save_checkpoint(
        self,
        out_dir: str,
        filename_tmpl: str | None = None,
        save_optimizer: bool = True,
        meta: dict[str, Any] | None = None,
        create_symlink: bool = True,
    ) -> None:
        """Write a checkpoint of this point of the run, whole or not at all.

        Args:
            out_dir: Folder.
            filename_tmpl: Name, with a place for the number of the epoch, or of the iteration within an epoch.
            save_optimizer: Without it the file cannot be resumed from.
            meta: Plain values to store beside the runner's own.
            create_symlink: Let ``latest.pth`` be this file.

        Raises:
            OSError: The file cannot be written; names it.
        """
        position = self.position()
        by = 'epoch' if self._at_epoch_end() else 'iter'
        name = (filename_tmpl or by + '_{}.pth').format(position[by])
        meta = {**(meta or {}), **(self.meta or {}), 'epoch': position['epoch'], 'iter': position['iter']}
        of_epoch = dict(inner_iter=position['inner_iter'], batches=len(self.data_loader))
        meta['resume'] = {'evaluated': True, **meta.get('resume', {}), **of_epoch}
        optimizer = self.optimizer if save_optimizer else None
        if '://' in out_dir:  # mmcv's clients for object stores
            save_checkpoint(self.model, f'{out_dir}/{name}', optimizer=optimizer, meta=meta)
            return
        with whole_file(os.path.join(out_dir, name)) as temporary:
            save_checkpoint(self.model, str(temporary), optimizer=optimizer, meta=meta)
        if create_symlink:
            point_latest(out_dir, name)

    def _report(self, done: int, since: float) -> None:
        """Say now and then how far the skipping is."""
        if done == 1 or done % 50 == 0 or done == self._skip:
            left = (time.time() - since) / done * (self._skip - done)
            self.logger.info(
                f'back to the middle of epoch {self.epoch + 1}: {done} of {self._skip} batches loaded and dropped, '
                f'so that data order and augmentation go on exactly; about {left:.0f} s left'
            )


@RUNNERS.register_module()
class ResumableEpochRunner(_Resumable, EpochBasedRunner):
    """mmcv's ``EpochBasedRunner`` with checkpoints that resume exactly, after an epoch or within one."""

    def position(self) -> dict[str, int]:
        """Finished epochs, trained iterations of all epochs, and trained iterations of the unfinished epoch."""
        if self._at_epoch_end():
            return dict(epoch=self.epoch + 1, iter=self.iter, inner_iter=0)
        return dict(epoch=self.epoch, iter=self.iter + 1, inner_iter=self.inner_iter + 1)

    def _at_epoch_end(self):
        return self._stage != 'after_train_iter'

    def step_back(self, saved: Mapping[str, Any]) -> bool:
        """Set the counters to what the hooks saw when the checkpoint was saved; returns whether after an epoch."""
        self.mode = 'train'
        if saved['inner_iter']:
            self._iter, self._inner_iter, self._stage = self._iter - 1, saved['inner_iter'] - 1, 'after_train_iter'
            return False
        self._epoch, self._inner_iter, self._stage = self._epoch - 1, saved['batches'] - 1, 'after_train_epoch'
        return True

    def batches_to_skip(self, saved: Mapping[str, Any]) -> int:
        """Batches of the unfinished epoch that are trained already; the same share of an epoch of another length."""
        return saved['inner_iter'] * len(self.data_loader) // saved['batches']

    def train(self, data_loader: DataLoader, **kwargs: Any) -> None:
        """One epoch, or the rest of one."""
        self._iter -= self._skip
        self._since = time.time()
        super().train(_Unloaded(data_loader) if self._skip == len(data_loader) else data_loader, **kwargs)

    def call_hook(self, fn_name: str) -> None:
        """Call all hooks, unless the batch is a skipped one."""
        if fn_name not in ('before_train_iter', 'after_train_iter') or self.inner_iter >= self._skip:
            super().call_hook(fn_name)
            return
        self._stage = fn_name
        if fn_name == 'after_train_iter':
            done = self.inner_iter + 1
            self._report(done, self._since)
            if done == self._skip:
                self._skip = 0
                self._arrived(self)

    def run_iter(self, data_batch: Any, train_mode: bool, **kwargs: Any) -> None:
        """Train a batch, unless it is a skipped one."""
        if self.inner_iter >= self._skip:
            super().run_iter(data_batch, train_mode, **kwargs)


class _Unloaded:
    """A data loader whose batches are all skipped, so that none needs to be loaded."""

    def __init__(self, loader: DataLoader) -> None:
        self._loader = loader

    def __getattr__(self, name):
        return getattr(self._loader, name)

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self):
        return iter([None] * len(self._loader))


@RUNNERS.register_module()
class ResumableIterRunner(_Resumable, IterBasedRunner):
    """mmcv's ``IterBasedRunner`` with checkpoints that resume exactly.

    Data come epoch by epoch, as with an epoch-based runner: each epoch is seeded by the ``EpochSeedHook`` and has every
    sample once. (mmdet's endless sampler for this runner could be brought back to iteration n only by loading all n
    batches.)
    """

    def position(self) -> dict[str, int]:
        """Finished epochs, trained iterations of all epochs, and trained iterations of the unfinished epoch."""
        trained = self.iter + (self._stage == 'after_train_iter')
        epoch, inner_iter = divmod(trained, len(self.data_loader))
        return dict(epoch=epoch, iter=trained, inner_iter=inner_iter)

    def _at_epoch_end(self):
        return False

    def step_back(self, saved: Mapping[str, Any]) -> bool:
        """Set the counters to what the hooks saw when the checkpoint was saved; returns whether after an epoch."""
        self.mode, self._iter, self._stage = 'train', self._iter - 1, 'after_train_iter'
        return False

    def batches_to_skip(self, saved: Mapping[str, Any]) -> int:
        """Batches of the unfinished epoch that are trained already."""
        return self.iter % len(self.data_loader)

    def run(self, data_loaders: Sequence[DataLoader], workflow: list[tuple[str, int]], **kwargs: Any) -> None:
        """As mmcv's, over loaders that seed each epoch."""
        super().run([_EpochAfterEpoch(loader, self) for loader in data_loaders], workflow, **kwargs)

    def train(self, data_loader: DataLoader, **kwargs: Any) -> None:
        """One iteration."""
        data_loader._epoch = self.iter // len(data_loader)
        super().train(data_loader, **kwargs)


class _EpochAfterEpoch:
    """What mmcv's ``IterLoader`` draws from: a data loader again and again, each epoch with seeds of its own."""

    def __init__(self, loader: DataLoader, runner: ResumableIterRunner) -> None:
        self._loader, self._runner = loader, runner

    def __getattr__(self, name):
        return getattr(self._loader, name)

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator:
        while True:
            self._start_epoch(self._runner.iter // len(self._loader))
            yield from self._batches()

    def _start_epoch(self, epoch):
        for hook in self._runner.hooks:
            if isinstance(hook, EpochSeedHook):
                hook.start_epoch(self._runner, epoch, self._loader)
        if hasattr(self._loader.sampler, 'set_epoch'):
            self._loader.sampler.set_epoch(epoch)

    def _batches(self):
        runner, since = self._runner, time.time()
        batches = iter(self._loader)
        for done in range(1, runner._skip + 1):
            next(batches)
            runner._report(done, since)
        if runner._skip:
            runner._skip = 0
            runner._arrived(runner)
        yield from batches
