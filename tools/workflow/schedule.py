"""Runs the steps of a workflow, each once the steps it uses are done, several at a time."""

import os
import sys
import threading
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait


def run_steps(steps, jobs=1, stream=sys.stdout, finished=None):
    """Run every step that is not done yet.

    Toy models gain little from a second thread but everything from a second core: side by side, each step gets its
    share of the cores as OpenMP threads, unless ``OMP_NUM_THREADS`` is set already.

    Args:
        steps (list[Step]): In the order to start them in where there is a choice; what a step comes ``after`` must be
            among them, before it.
        jobs (int): Steps that run at the same time, at most.
        stream (file): Console.
        finished (Callable[[], None] | None): Called after each step, also after one that was done before.

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
                    options = dict(environment=environment, stop=stop, stream=stream, live=jobs == 1)
                    running[pool.submit(step.run, f'[{number}/{len(steps)}]', **options)] = step
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
