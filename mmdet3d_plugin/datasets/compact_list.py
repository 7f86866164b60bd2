"""A read-only list that keeps its items packed in one array."""

import pickle
import zlib
from collections.abc import Sequence

import numpy as np


class CompactList(Sequence):
    """Items pickled and compressed back to back in one uint8 array, and taken out on access.

    A list of dicts in the memory of a training process gets copied into each data loading worker, because reading an
    object changes its reference count, which unshares its memory page. One array has one reference count: forked
    workers share it. Compression, at its fastest, is there because infos repeat paths and calibrations: they shrink to
    about a sixth. Every access gives a fresh object, so a caller cannot change the stored one.

    Args:
        items (Iterable): Anything picklable; consumed one at a time.
    """

    def __init__(self, items):
        chunks = [np.frombuffer(_pack(item), dtype=np.uint8) for item in items]
        self._ends = np.cumsum([len(chunk) for chunk in chunks], dtype=np.int64)
        self._buffer = np.concatenate(chunks) if chunks else np.zeros(0, dtype=np.uint8)

    @property
    def nbytes(self):
        """int: Size of the stored items."""
        return self._buffer.nbytes

    def __len__(self):
        return len(self._ends)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f'index {index} is out of range for {len(self)} items')
        index = index % len(self)
        start = self._ends[index - 1] if index else 0
        return pickle.loads(zlib.decompress(self._buffer[start : self._ends[index]]))


def _pack(item):
    return zlib.compress(pickle.dumps(item, protocol=4), level=1)
