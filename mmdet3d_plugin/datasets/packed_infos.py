"""The infos of a data set as a read-only list, packed one by one, in a file or in one array."""

from __future__ import annotations

import os
import pickle
import zlib
from collections.abc import Sequence

import numpy as np

from .infos.info_columns import InfoColumns


class PackedInfos(Sequence):
    """Infos pickled and compressed one by one, and taken out on access.

    A list of dicts in the memory of a training process gets copied into each data loading worker, because reading an
    object changes its reference count, which unshares its memory page. Packed infos are read from their file, of which
    the system keeps one copy for all processes, or from one array that forked workers share. Compression, at its
    fastest, is there because infos repeat paths and calibrations: they shrink to about a fifth. Every access gives a
    fresh object, so a caller cannot change the stored one.

    Args:
        infos (Sequence[dict]): Infos to pack in memory.

    Attributes:
        columns (InfoColumns | None): What a data set wants to know of all infos at once; None when they do not tell.
    """

    def __init__(self, infos: Sequence = ()):
        chunks = [_pack(info) for info in infos]
        sizes = [len(chunk) for chunk in chunks]
        self._set(_Memory.filled(chunks, sizes), *_places(sizes), InfoColumns.of(infos))

    def _set(self, source, begins, sizes, columns):
        self._source, self._begins, self._sizes, self.columns = source, begins, sizes, columns
        return self

    @classmethod
    def of(cls, infos: Sequence) -> PackedInfos:
        """Infos as they are when they are packed, else packed."""
        return infos if isinstance(infos, cls) else cls(infos)

    @classmethod
    def in_file(cls, path, begins: np.ndarray, sizes: np.ndarray, columns: InfoColumns | None) -> PackedInfos:
        """Infos that stand packed in a file, (N,) ``begins`` and ``sizes`` in bytes."""
        return cls.__new__(cls)._set(_File(path), begins, sizes, columns)

    @classmethod
    def joined(cls, parts: Sequence[PackedInfos]) -> PackedInfos:
        """The infos of all parts, in memory."""
        chunks = (part.packed(index) for part in parts for index in range(len(part)))
        sizes = [size for part in parts for size in part._sizes.tolist()]
        columns = InfoColumns.joined([part.columns for part in parts])
        return cls.__new__(cls)._set(_Memory.filled(chunks, sizes), *_places(sizes), columns)

    def take(self, indices: np.ndarray) -> PackedInfos:
        """Some of the infos, in another order, without copying them."""
        columns = self.columns and self.columns.take(indices)
        return type(self).__new__(type(self))._set(self._source, self._begins[indices], self._sizes[indices], columns)

    @property
    def nbytes(self) -> int:
        """int: Size of the packed infos."""
        return int(self._sizes.sum())

    def packed(self, index: int) -> bytes:
        """An info as it is stored: ``pickle.loads(zlib.decompress(...))`` gives the dict."""
        return self._source.read(int(self._begins[index]), int(self._sizes[index]))

    def __len__(self) -> int:
        return len(self._sizes)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f'index {index} is out of range for {len(self)} infos')
        return pickle.loads(zlib.decompress(self.packed(index)))


class _Memory:
    """Bytes in one array."""

    def __init__(self, content):
        self._content = content

    @classmethod
    def filled(cls, chunks, sizes):
        """Chunks of known sizes back to back; they need not all be there at once."""
        content, end = np.empty(sum(sizes), dtype=np.uint8), 0
        for chunk in chunks:
            content[end : end + len(chunk)] = np.frombuffer(chunk, dtype=np.uint8)
            end += len(chunk)
        return cls(content)

    def read(self, begin, size):
        return self._content[begin : begin + size].tobytes()


class _File:
    """A file that is read in pieces, also after a fork or in a spawned process.

    Read, not mapped: pages of a map count as memory of every process, and a map of a file that somebody cuts kills the
    process. The system's cache holds one copy either way.
    """

    def __init__(self, path):
        self._path = os.path.abspath(path)
        self._stream = open(self._path, 'rb', buffering=0)  # noqa: SIM115, open as long as the infos are there
        self._state = _state_of(self._stream)

    def read(self, begin, size):
        content = os.pread(self._stream.fileno(), size, begin)  # no file position, which forked processes would share
        if len(content) != size:
            raise OSError(f'{self._path}: cut while it was read, expected {size} bytes at {begin}')
        return content

    def __getstate__(self):
        return dict(path=self._path, state=self._state)

    def __setstate__(self, state):
        self.__init__(state['path'])
        if self._state != state['state']:
            raise OSError(f'{self._path}: replaced since this process was started, start the run again')


def _state_of(stream):
    status = os.fstat(stream.fileno())
    return status.st_size, status.st_mtime_ns


def _places(sizes):
    """(N,) int64 begins and sizes of chunks that stand back to back."""
    sizes = np.array(sizes, dtype=np.int64)
    return np.cumsum(sizes) - sizes, sizes


def _pack(info):
    return zlib.compress(pickle.dumps(info, protocol=4), level=1)
