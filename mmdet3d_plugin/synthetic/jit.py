"""Compilation of the generator's kernels, cached on disk under a key that covers all of its sources."""

import hashlib
from pathlib import Path

from numba import njit


def _sources_digest():
    digest = hashlib.md5()
    for path in sorted(Path(__file__).parent.glob('*.py')):
        digest.update(path.read_bytes())
    return digest.hexdigest()


_DIGEST = _sources_digest()


def compiled(function):
    """``numba.njit`` with an on-disk cache.

    Numba renews a cached kernel when the kernel's own file changes, but not when a function it calls or a constant it
    reads changes in another file; the key is replaced by a digest of the whole package, or an edit would go unseen.
    Where numba does not offer the key the kernel is compiled anew in every process.
    """
    dispatcher = njit(cache=True)(function)
    entry = getattr(getattr(dispatcher, '_cache', None), '_cache_file', None)
    if not hasattr(entry, '_source_stamp'):
        return njit(function)
    entry._source_stamp = _DIGEST
    return dispatcher
