"""A command and all that it starts: looked after while it runs, and ended with its children when it must stop."""

import contextlib
import os
import signal
import subprocess
import sys
from typing import Callable, Optional, TextIO

POLL_SECONDS = 0.5
GRACE_SECONDS = 35  # torchrun gives its workers 30 to end


def run_command(
    command: tuple, output: Optional[TextIO], environment: dict, watch: Callable[[], None] = lambda: None
) -> int:
    """Run a command to its end.

    Args:
        command: The program first; ``python`` means the running interpreter.
        output: Gets what the command prints; None leaves that to this process's own console.
        environment: Variables beside those of this process.
        watch: Called every half second. What it raises, Ctrl-C included, ends the command.

    Returns:
        Exit status.
    """
    process = subprocess.Popen(
        [sys.executable, *command[1:]] if command[0] == 'python' else command,
        stdout=output,
        stderr=None if output is None else subprocess.STDOUT,
        env={**os.environ, 'PYTHONUNBUFFERED': '1', **environment},
        start_new_session=True,  # signals reach the whole group, see _end
    )
    try:
        while True:
            try:
                return process.wait(timeout=POLL_SECONDS)
            except subprocess.TimeoutExpired:
                watch()
    except BaseException:
        _end(process)
        raise


def _end(process):
    """End the process and the workers it started: first kindly, then for good. Another Ctrl-C hurries it.

    Behind ``nohup ... &`` this process ignores Ctrl-C, and so does what it starts: that is terminated at once.
    """
    heard = signal.getsignal(signal.SIGINT) != signal.SIG_IGN
    for kind in (*([signal.SIGINT] if heard else []), signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(subprocess.TimeoutExpired, ProcessLookupError, KeyboardInterrupt):
            os.killpg(process.pid, kind)
            process.wait(timeout=GRACE_SECONDS)
            return
