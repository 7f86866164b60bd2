"""What a running step prints."""

import shutil
import time

from .progress import progress_line


class Console:
    """The lines of one step: where it stands, in place on a terminal, else now and then.

    Each is written at once, so that steps that run side by side do not mix within a line.

    Args:
        title (str): Start of every line.
        stream (file): Where they go.
        live (bool): ``stream`` is a terminal that this step has for itself.
    """

    def __init__(self, title, stream, live):
        self.title, self.stream, self.live = title, stream, live
        self.interval = 1.0 if live else 30.0

    def start(self):
        """Say that the step begins, and start its clock."""
        self._started = time.monotonic()
        self._next = self._started if self.live else self._started + self.interval
        self._put(f'{self.title} ...', end='' if self.live else '\n')

    def is_due(self):
        """bool: The next line is wanted now; when True, it counts as written."""
        due = time.monotonic() >= self._next
        if due:
            self._next = time.monotonic() + self.interval
        return due

    def progress(self, fraction, text, first_fraction):
        """Say how far the step is, see :func:`progress_line`."""
        line = progress_line(self.title, time.monotonic() - self._started, fraction, text, first_fraction)
        if self.live:
            line = line[: shutil.get_terminal_size().columns - 1]
        self._put(line, end='' if self.live else '\n')

    def write(self, text):
        """A line that stays."""
        self._put(f'{self.title}  {text}', end='\n')

    def _put(self, line, end):
        start = '\r\033[K' if self.live else ''
        self.stream.write(f'{start}{line}{end}')
        self.stream.flush()
