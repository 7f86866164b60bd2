"""Which source files are this project's, and the log files of a run."""

import logging
import os
import sys
from pathlib import Path

_HOME = Path(__file__).resolve().parents[1]
_OWN = tuple(
    f'{_HOME / room}{os.sep}' for room in ('mmdet3d_plugin', 'dualdistill_cli', 'dualdistill_runtime', 'tools')
)


def is_own(file: str) -> bool:
    """Whether a source file belongs to this project."""
    return os.path.realpath(file).startswith(_OWN)


def note_in_log_files(text: str, level: int = logging.ERROR, with_traceback: bool = False) -> None:
    """Write where a run's log is what else goes to the console alone: its warnings, and why it ended."""
    record = logging.LogRecord(__name__, level, __file__, 0, text, None, with_traceback and sys.exc_info())
    for logger in [one for one in logging.root.manager.loggerDict.values() if isinstance(one, logging.Logger)]:
        for handler in logger.handlers:
            if isinstance(handler, logging.FileHandler):
                handler.emit(record)
