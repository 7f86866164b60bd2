"""Signals in processes that tests start."""

import signal


def hear_signals():
    """For ``preexec_fn``: what is started from here listens, also where this process runs under nohup or in the
    background and passes on that hang-up and interrupt are ignored."""
    for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(kind, signal.SIG_DFL)
