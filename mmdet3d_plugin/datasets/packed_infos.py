"""The infos of a data set as a read-only list, packed in one array that data loading workers share."""

import pickle
import zlib
from collections.abc import Iterable, Sequence

import numpy as np


class PackedInfos(Sequence):
    """Infos pickled and compressed back to back in one uint8 array, and taken out on access.

    A list of dicts in the memory of a training process gets copied into each data loading worker, because reading an
    object changes its reference count, which unshares its memory page. One array has one reference count: forked
    workers share it. Compression, at its fastest, is there because infos repeat paths and calibrations: they shrink to
    about a sixth. Every access gives a fresh object, so a caller cannot change the stored one.

    Args:
        infos (Iterable): Dicts, or anything picklable; consumed one at a time.
    """

    def __init__(self, infos: Iterable):
        chunks = [np.frombuffer(_pack(info), dtype=np.uint8) for info in infos]
        self._ends = np.cumsum([len(chunk) for chunk in chunks], dtype=np.int64)
        self._buffer = np.concatenate(chunks) if chunks else np.zeros(0, dtype=np.uint8)

    @property
    def nbytes(self) -> int:
        """int: Size of the stored infos."""
        return self._buffer.nbytes

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f'index {index} is out of range for {len(self)} infos')
        index = index % len(self)
        start = self._ends[index - 1] if index else 0
        return pickle.loads(zlib.decompress(self._buffer[start : self._ends[index]]))


def _pack(info):
    return zlib.compress(pickle.dumps(info, protocol=4), level=1)
