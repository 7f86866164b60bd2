"""How far a step is, read from the end of its log, and the lines about it on the console."""

import re
import shutil
import sys
import time
from pathlib import Path
from typing import Optional, TextIO

_EPOCH = re.compile(r'Epoch \[(\d+)\]\[(\d+)/(\d+)\]')
_COUNT = re.compile(r'(?<![\d.])(\d+)\s?/\s?(\d+)(?![\d.])')
_LOSS = re.compile(r'\bloss: ([\d.eE+-]+|nan|inf)')


def tail(path: Path, num_bytes: int = 8192) -> list:
    """Last ``num_bytes`` of a log, which need not exist yet.

    Returns:
        list[str]: Non-empty lines, oldest first; progress bars (carriage returns) are split into lines.
    """
    if not path.exists():
        return []
    with open(path, 'rb') as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - num_bytes))
        text = file.read().decode('utf-8', errors='replace')
    return [line.rstrip() for line in re.split(r'[\r\n]+', text) if line.strip()]


def read_progress(lines: list, max_epochs: Optional[int] = None) -> tuple:
    """Find the newest progress statement in log lines.

    Understands mmcv's ``Epoch [2][30/60]`` (a fraction of ``max_epochs``) and a plain count ``12/160`` as mmcv's and
    other progress bars print it.

    Args:
        lines: Log lines, oldest first.
        max_epochs: Epochs of a training run; without it only plain counts are read.

    Returns:
        tuple[float | None, str]: Fraction done in [0, 1] (None when unknown) and a short text for the console.
    """
    for line in reversed(lines):
        if max_epochs:
            epoch = _EPOCH.search(line)
            if epoch is None:
                continue
            number, done, total = (int(group) for group in epoch.groups())
            loss = _LOSS.search(line)
            text = f'epoch {number}/{max_epochs} [{done}/{total}]' + (f' loss {loss.group(1)}' if loss else '')
            return min(1.0, (number - 1 + done / total) / max_epochs), text
        counts = [(int(done), int(total)) for done, total in _COUNT.findall(line) if 0 <= int(done) <= int(total) > 0]
        if counts:
            done, total = counts[-1]
            return done / total, f'{done}/{total}'
    return None, ''


def clock(seconds: float) -> str:
    """Format seconds as ``m:ss`` or ``h:mm:ss``."""
    minutes, seconds = divmod(int(round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours}:{minutes:02d}:{seconds:02d}' if hours else f'{minutes}:{seconds:02d}'


class Console:
    """The lines of one step: where it stands, in place on a terminal, else now and then.

    Each is written at once, so that steps that run side by side do not mix within a line.

    Args:
        title: Start of every line.
        stream: Where they go, the standard output by default.
        live: This step has ``stream`` for itself: if that is a terminal, its line changes in place.
    """

    def __init__(self, title: str, stream: Optional[TextIO] = None, live: bool = True):
        stream = stream or sys.stdout
        self.title, self.stream, self.live = title, stream, live and stream.isatty()
        self.interval = 1.0 if self.live else 30.0

    def start(self, resumed: bool, stays: bool = False) -> None:
        """Say that the step begins, and start its clock.

        Args:
            resumed: What was done before is left out of the ETA.
            stays: Something else follows below the line.
        """
        self._started = time.monotonic()
        self._next = self._started + (0.0 if self.live else self.interval)
        self._done_before = None if resumed else 0.0
        self._put(f'{self.title} ...', passing=not stays)

    def tell_progress(self, log: Path, max_epochs: Optional[int]) -> None:
        """Say how far the step is, if it is time to: time so far, share done, time left and details."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + self.interval
        fraction, text = read_progress(tail(log), max_epochs)
        if self._done_before is None:
            self._done_before = fraction
        line = progress_line(self.title, time.monotonic() - self._started, fraction, text, self._done_before or 0.0)
        self._put(line, passing=True)

    def write(self, text: str) -> None:
        """A line that stays."""
        self._put(f'{self.title}  {text}')

    def _put(self, line, passing=False):
        if self.live:
            line = '\r\033[K' + (line[: shutil.get_terminal_size().columns - 1] if passing else line)
        self.stream.write(line if self.live and passing else f'{line}\n')
        self.stream.flush()


def progress_line(
    title: str, elapsed: float, fraction: Optional[float], text: str, fraction_at_start: float = 0.0
) -> str:
    """One console line.

    ``fraction_at_start`` is the share that was done when the step started (a resumed training), so that the time left
    comes from this run's own speed.
    """
    parts = [f'{title}  {clock(elapsed)}']
    if fraction is not None:
        parts.append(f'{100 * fraction:3.0f} %')
        done_now = fraction - fraction_at_start
        if done_now > 0:
            parts.append(f'eta {clock(elapsed * (1 - fraction) / done_now)}')
    return '  '.join([*parts, text] if text else parts)
