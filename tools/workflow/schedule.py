"""Runs steps, each once those it comes after are done, several at a time, and ends well when one fails."""

import os
import signal
import sys
import threading
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any, Callable, Optional, TextIO

from .progress import Console
from .step import StepFailedError


def run_steps(
    steps: list, jobs: int = 1, finished: Optional[Callable[[], None]] = None, stream: Optional[TextIO] = None
) -> dict:
    """Run every step that is not done yet.

    Toy models gain little from a second thread but everything from a second core: side by side, each step gets its
    share of the cores as OpenMP threads, unless ``OMP_NUM_THREADS`` is set already.

    Args:
        steps (list[Step]): In the order to start them in where there is a choice; what a step comes ``after`` must be
            among them, before it.
        jobs: Steps that run at the same time, at most.
        finished: Called after each step, also after one that was done before.
        stream: See :class:`Console`.

    Returns:
        dict[str, float]: Step name -> seconds, in the order of ``steps``.

    Raises:
        ValueError: A step waits for one that is not among ``steps``.
        StepFailedError: A step failed; the others were stopped, what they did so far is kept.
        KeyboardInterrupt: The same, by the user.
    """
    environment = {} if jobs == 1 else {'OMP_NUM_THREADS': str(max(1, (os.cpu_count() or 1) // jobs))}
    environment = {key: os.environ.get(key, value) for key, value in environment.items()}
    stop = threading.Event()
    seconds, waiting, running = {}, list(enumerate(steps, start=1)), {}
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        try:
            while waiting or running:
                for item in [item for item in waiting if all(step.name in seconds for step in item[1].after)]:
                    if len(running) == jobs:
                        break
                    waiting.remove(item)
                    number, step = item
                    console = Console(f'[{number}/{len(steps)}] {step.title}', stream, live=jobs == 1)
                    running[pool.submit(step.run, console, environment, stop)] = step
                if not running:
                    _, step = waiting[0]
                    lacking = [other.name for other in step.after if other.name not in seconds]
                    raise ValueError(f'step {step.name!r} comes after {", ".join(lacking)}, which will never run')
                # a time limit, so that signals reach this thread on every platform
                for future in wait(running, timeout=0.5, return_when=FIRST_COMPLETED).done:
                    seconds[running.pop(future).name] = future.result()
                    if finished is not None:
                        finished()
        except BaseException:
            stop.set()
            raise
    return {step.name: seconds[step.name] for step in steps}


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
