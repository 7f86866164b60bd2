"""Order of samples from two sources, exact in every batch, the same for any number of processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler


class RatioSampler(Sampler):
    """Indices of a process, batch after batch: first those of source 0, then those of source 1, in a fixed ratio.

    In an epoch every sample of source 0 comes once; samples that fill the last batch come twice. Source 1 is gone
    through again and again, each time in another order, and an epoch goes on where the one before stopped, so that all
    its samples are seen however long an epoch is.

    The order follows from the seed and the epoch alone. Batch b of one process is batch b of several together, so their
    number does not change what a step learns from.

    Args:
        sizes: numbers of samples; indices of source 1 follow those of source 0.
        ratio: samples of each source in a batch, as two whole numbers.
        samples_per_gpu: samples of a batch of one process, a multiple of the sum of ``ratio``.
        processes: their number.
        rank: of this process.
        seed: of the run, the same in all processes.

    Raises:
        ValueError: a batch cannot hold the ratio, or a source is empty.
    """

    def __init__(
        self, sizes: Sequence[int], ratio: Sequence[int], samples_per_gpu: int, processes: int, rank: int, seed: int
    ) -> None:
        if samples_per_gpu % sum(ratio):
            raise ValueError(
                f'a batch of {samples_per_gpu} samples cannot have the ratio {ratio[0]}:{ratio[1]}: make '
                f'data.samples_per_gpu a multiple of {sum(ratio)}'
            )
        if min(sizes) < 1:
            raise ValueError(f'both sources of a batch need samples, got {sizes[0]} and {sizes[1]}')
        self.sizes, self.processes, self.rank, self.seed = tuple(sizes), processes, rank, seed
        self.per_batch = [samples_per_gpu * part // sum(ratio) for part in ratio]
        self.batches = -(-sizes[0] // (self.per_batch[0] * processes))
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Tell which epoch (from 0) comes next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.batches * sum(self.per_batch)

    def __iter__(self) -> Iterator[int]:
        first, second = (self._share(source) for source in (0, 1))
        return iter(np.concatenate([first, self.sizes[0] + second], axis=1).ravel().tolist())

    def _share(self, source):
        """(batches, samples per batch) indices of one source for this process."""
        count = self.batches * self.processes * self.per_batch[source]
        own_epoch = source == 0
        words = [self.seed, source, self.epoch] if own_epoch else [self.seed, source]
        drawn = _stream(self.sizes[source], words, 0 if own_epoch else self.epoch * count, count)
        return drawn.reshape(self.batches, self.processes, self.per_batch[source])[:, self.rank]


def _stream(size, words, start, count):
    """Places ``start`` to ``start + count`` of an endless row of shuffled passes through ``size`` samples.

    Args:
        size: samples.
        words: whole numbers that, with the number of the pass, seed its order.
        start, count: places.
    """
    passes = range(start // size, -(-(start + count) // size))
    orders = [np.random.default_rng([*words, number]).permutation(size) for number in passes]
    skipped = start - passes[0] * size
    return np.concatenate(orders)[skipped : skipped + count]
