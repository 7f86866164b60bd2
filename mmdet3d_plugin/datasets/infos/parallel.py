"""Run one function over many scenes or files with a progress bar, in this process or in several."""

import multiprocessing

import mmcv

_SHARED = []


def map_with_tables(function, tasks, tables, workers=1):
    """``[function(tables, task) for task in tasks]``, in order, with a progress bar on the terminal.

    Args:
        function (Callable): Module-level function of (tables, task).
        tasks (list): Small picklable tasks, such as scene records.
        tables (object): Large read-only object that every task needs (the nuScenes tables). Worker processes inherit
            it by fork instead of loading it again.
        workers (int): Processes; 1 stays in this process.

    Returns:
        list: Results in the order of the tasks.
    """
    return list(iterate_with_tables(function, tasks, tables, workers))


def iterate_with_tables(function, tasks, tables, workers=1, progress=True):
    """The results of :func:`map_with_tables` one after the other, for tasks too many to keep all results.

    Args:
        progress (bool): With a progress bar.
    """
    _SHARED[:] = [(function, tables)]
    try:
        if workers <= 1 or len(tasks) <= 1 or 'fork' not in multiprocessing.get_all_start_methods():
            yield from _shown(map(_call, tasks), len(tasks), progress)
            return
        with multiprocessing.get_context('fork').Pool(min(workers, len(tasks))) as pool:
            yield from _shown(pool.imap(_call, tasks), len(tasks), progress)
    finally:
        _SHARED.clear()


def _shown(results, total, progress):
    """The results as they come, with a progress bar that moves on with each."""
    if not progress:
        yield from results
        return
    bar = mmcv.ProgressBar(total)
    for result in results:
        bar.update()
        yield result
    print()


def _call(task):
    function, tables = _SHARED[0]
    return function(tables, task)
