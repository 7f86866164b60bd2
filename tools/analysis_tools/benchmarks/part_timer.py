"""Times of the parts of a step while it runs as it always does."""

import contextlib
import functools
import time
from collections import defaultdict
from unittest import mock

import torch

from .timing import wait_for


class PartTimer:
    """Adds up what the calls of chosen methods take, round by round.

    On a GPU the times are those between events on its stream: nothing waits in between, so the step is as fast as
    without. Timed methods must not call each other.

    Args:
        device (str): 'cpu' or 'cuda'.
    """

    def __init__(self, device):
        self.device = device
        self.rounds = []
        self._current = None
        self._patches = contextlib.ExitStack()

    def watch(self, owner, method, part):
        """Time calls of ``owner.method`` as ``part``."""
        function = getattr(owner, method)
        self._patches.enter_context(mock.patch.object(owner, method, self.wrap(function, part)))

    def stop(self):
        """Give all watched objects their own methods back."""
        self._patches.close()

    @contextlib.contextmanager
    def one_round(self):
        """Inside the block calls are timed; outside they are not."""
        self._current = defaultdict(list)
        yield
        self.rounds.append(self._current)
        self._current = None

    def wrap(self, function, part):
        """``function``, timed as ``part``, see :meth:`watch`."""

        @functools.wraps(function)
        def run(*args, **kwargs):
            if self._current is None:
                return function(*args, **kwargs)
            start = self._mark()
            result = function(*args, **kwargs)
            self._current[part].append((start, self._mark()))
            return result

        return run

    def seconds(self, rounds):
        """dict: part -> list with its seconds in each of the last ``rounds`` rounds, 0 where it did not run."""
        wait_for(self.device)
        last = self.rounds[-rounds:]
        parts = list(dict.fromkeys(part for spans in last for part in spans))
        return {part: [sum(self._span(*marks) for marks in spans[part]) for spans in last] for part in parts}

    def _mark(self):
        if self.device != 'cuda':
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def _span(self, start, end):
        return start.elapsed_time(end) / 1e3 if self.device == 'cuda' else end - start
