"""A pause of the garbage collector, for work whose many objects stay, such as imports: it would search in vain."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """Inside the block Python does not look for garbage; afterwards it does if it did before.

    Classes and functions of torch, mmcv and mmdet3d are some hundred thousand objects. While they come into being, the
    collector goes through all of them again and again, a tenth of the time until a run starts.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
