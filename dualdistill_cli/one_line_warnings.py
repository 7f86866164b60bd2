"""Python's warnings as lines that look like a tool's errors."""

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator

from .own_files import is_own, note_in_log_files


@contextlib.contextmanager
def one_line_warnings() -> Iterator[None]:
    """Inside the block a warning is one line, ``warning: ...``, and stands in the run's log too.

    The line of another package's warning also names the file that gave it.
    """
    before = warnings.showwarning
    warnings.showwarning = _show
    try:
        yield
    finally:
        warnings.showwarning = before


def _show(message, category, filename, lineno, file=None, line=None):
    """As :func:`warnings.showwarning`."""
    place = os.sep.join(filename.split(os.sep)[-2:])
    where = '' if is_own(filename) else f' ({category.__name__} of {place}:{lineno})'
    text = ' '.join(f'{message}{where}'.split())
    print(f'warning: {text}', file=file or sys.stderr)
    note_in_log_files(text, logging.WARNING)
