"""How far a step is, read from the tail of its log. Pure functions over text."""

import re

_EPOCH = re.compile(r'Epoch \[(\d+)\]\[(\d+)/(\d+)\]')
_COUNT = re.compile(r'(?<![\d.])(\d+)\s?/\s?(\d+)(?![\d.])')
_LOSS = re.compile(r'\bloss: ([\d.eE+-]+|nan|inf)')


def tail(path, num_bytes=8192):
    """Last ``num_bytes`` of a text file with progress bars (carriage returns) split into lines.

    Args:
        path (pathlib.Path): Log file; may not exist yet.

    Returns:
        list[str]: Non-empty lines, oldest first.
    """
    if not path.exists():
        return []
    with open(path, 'rb') as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - num_bytes))
        text = file.read().decode('utf-8', errors='replace')
    return [line.rstrip() for line in re.split(r'[\r\n]+', text) if line.strip()]


def read_progress(lines, max_epochs=None):
    """Find the newest progress statement in log lines.

    Understands mmcv's ``Epoch [2][30/60]`` (a fraction of ``max_epochs``) and a plain count ``12/160`` as mmcv's and
    other progress bars print it.

    Args:
        lines (list[str]): Log lines, oldest first.
        max_epochs (int | None): Epochs of a training run; without it only plain counts are read.

    Returns:
        tuple[float | None, str]: Fraction done in [0, 1] (None when unknown) and a short text for the console.
    """
    for line in reversed(lines):
        epoch = _EPOCH.search(line)
        if max_epochs:
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


def clock(seconds):
    """Format seconds as ``m:ss`` or ``h:mm:ss``."""
    minutes, seconds = divmod(int(round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours}:{minutes:02d}:{seconds:02d}' if hours else f'{minutes}:{seconds:02d}'


def progress_line(title, elapsed, fraction, text, fraction_at_start=0.0):
    """One console line: title, time so far, share done, time left and details.

    ``fraction_at_start`` is the share that was already done when the step started (a resumed training), so that the
    remaining time is extrapolated from this run's own speed.
    """
    parts = [f'{title}  {clock(elapsed)}']
    if fraction is not None:
        parts.append(f'{100 * fraction:3.0f} %')
        done_now = fraction - fraction_at_start
        if done_now > 0:
            parts.append(f'eta {clock(elapsed * (1 - fraction) / done_now)}')
    if text:
        parts.append(text)
    return '  '.join(parts)
