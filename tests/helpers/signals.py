"""Signals in processes that tests start."""

import os
import signal
import time
from pathlib import Path


def hear_signals():
    """For ``preexec_fn``: what is started from here listens, also where this process runs under nohup or in the
    background and passes on that hang-up and interrupt are ignored."""
    for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(kind, signal.SIG_DFL)


def kill_group(process):
    """Kill a process that leads its group, and wait until its workers are dead as well.

    The workers are not ours to wait for, and on a busy machine they outlive their leader by a moment, in which they
    still hold their locks and may end a system call, such as that of a rename.
    """
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    while any(_runs_in_group(path, process.pid) for path in Path('/proc').glob('[0-9]*/stat')):
        time.sleep(0.001)


def _runs_in_group(stat, group):
    try:
        state, _, found = stat.read_text().rpartition(')')[2].split()[:3]
    except OSError:  # it ended in the meantime
        return False
    return int(found) == group and state not in 'ZX'
