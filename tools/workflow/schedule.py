"""Runs steps, each once those it comes after are done, several at a time, and ends well when one fails."""

import os
import signal
import sys
import threading
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any, Callable

from .progress import Console
from .step import StepFailedError


def run_steps(steps: list, jobs: int = 1, finished: Callable[[], None] = lambda: None) -> dict:
    """Run every step that is not done yet.

    Args:
        steps (list[Step]): In the order to start them in where there is a choice; what a step comes ``after`` must be
            among them, before it.
        jobs: Steps that run at the same time, at most.
        finished: Called after each step, also after one that was done before.

    Returns:
        dict[str, float]: Step name -> seconds, in the order of ``steps``.

    Raises:
        ValueError: A step waits for one that is not among ``steps``.
        StepFailedError: A step failed; the others were stopped, what they did so far is kept.
        KeyboardInterrupt: The same, by the user.
    """
    stop, seconds, waiting, running = threading.Event(), {}, list(steps), {}
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        try:
            while waiting or running:
                ready = [step for step in waiting if not _missing(step, seconds)]
                for step in ready[: jobs - len(running)]:
                    waiting.remove(step)
                    console = Console(f'[{steps.index(step) + 1}/{len(steps)}] {step.title}', live=jobs == 1)
                    running[pool.submit(step.run, console, _share_of_cores(jobs), stop)] = step
                if not running:
                    missing = ', '.join(_missing(waiting[0], seconds))
                    raise ValueError(f'step {waiting[0].name!r} comes after {missing}, which will never run')
                # a time limit, so that signals reach this thread on every platform
                for future in wait(running, timeout=0.5, return_when=FIRST_COMPLETED).done:
                    seconds[running.pop(future).name] = future.result()
                    finished()
        except BaseException:
            stop.set()
            raise
    return {step.name: seconds[step.name] for step in steps}


def _missing(step, seconds):
    return [other.name for other in step.after if other.name not in seconds]


def _share_of_cores(jobs):
    """Variables of each of several steps. Toy models gain little from a second thread but everything from a second
    core, so each gets its share as OpenMP threads, unless the user says otherwise."""
    share = str(max(1, (os.cpu_count() or 1) // jobs))
    return {} if jobs == 1 else {'OMP_NUM_THREADS': os.environ.get('OMP_NUM_THREADS', share)}


def run_to_the_end(run: Callable[[], Any]) -> tuple:
    """Call what runs steps; a failure or an interruption becomes a message and an exit status.

    A kill, or the end of the terminal, interrupts as Ctrl-C does, so that what was started ends, too. A signal that is
    ignored, as under nohup, stays so; whoever called gets the old handlers back.

    Returns:
        tuple[int, Any]: Exit status and, when it is 0, what ``run`` returned.
    """
    kinds = [kind for kind in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(kind) != signal.SIG_IGN]
    previous = {kind: signal.signal(kind, signal.default_int_handler) for kind in kinds}
    try:
        return 0, run()
    except StepFailedError as error:
        print(f'\n{error}', file=sys.stderr)
        return 1, None
    except KeyboardInterrupt:
        print('\ninterrupted; start the same command again to resume', file=sys.stderr)
        return 130, None
    finally:
        for kind, handler in previous.items():
            signal.signal(kind, handler)
