"""Memory that a step frees stays with the process, so that the next sample finds it."""

import ctypes
import functools
import os
import sys

# mallopt's parameters in glibc's malloc.h
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_MIB = 2**20


@functools.cache
def keep_freed_memory():
    """Asks glibc to keep freed blocks of up to 32 MiB, and 256 MiB of them in all.

    As it is, glibc hands a freed picture of 4 MB back to the kernel. The next one is then made of fresh pages, and to
    fetch and clear those can cost more than to decode the picture. What is asked for counts for the whole process, so
    the steps call this where they work, which is mostly in a loader's worker. Only the first call does something.

    Returns:
        bool: whether glibc took it. It is not asked elsewhere than on Linux, nor where the environment has settings of
        its own (``MALLOC_*_`` or ``GLIBC_TUNABLES``). 32 MiB is the most that glibc takes.
    """
    if not sys.platform.startswith('linux') or _set_by_user(os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library, such as musl
        return False
    return bool(mallopt(_MMAP_THRESHOLD, 32 * _MIB) and mallopt(_TRIM_THRESHOLD, 256 * _MIB))


def _set_by_user(environment):
    settings = [name for name in environment if name.startswith('MALLOC_') and name.endswith('_')]
    return bool(settings) or 'glibc.malloc' in environment.get('GLIBC_TUNABLES', '')
