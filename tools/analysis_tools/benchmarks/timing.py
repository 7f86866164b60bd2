"""Paired timing in one process, times of the parts of a step, and peak memory."""

import json
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

import mmcv
import torch


def paired_times(title, functions, rounds, device='cpu', warmup=2):
    """Time functions in turn, so that whatever else the machine does meets all of them alike.

    A progress bar with the time left goes to the error output.

    Args:
        title: what the bar is called.
        functions: name -> callable without arguments.
        rounds: how often each is timed; every other round runs in reverse order.
        device: 'cuda' waits for the device before the clock is read.
        warmup: untimed calls of each before.

    Returns:
        dict: name -> list of ``rounds`` seconds.
    """
    times = {name: [] for name in functions}
    print(title, file=sys.stderr)
    bar = mmcv.ProgressBar(warmup + rounds, bar_width=20, file=sys.stderr)
    for index in range(-warmup, rounds):
        names = list(functions) if index % 2 == 0 else list(functions)[::-1]
        for name in names:
            seconds = timed(functions[name], device)
            if index >= 0:
                times[name].append(seconds)
        bar.update()
    print(file=sys.stderr)
    return times


def timed(function, device):
    """Seconds that a call takes, with all that it starts on the device."""
    wait_for(device)
    start = time.perf_counter()
    function()
    wait_for(device)
    return time.perf_counter() - start


def wait_for(device):
    """Let a GPU finish what it was given."""
    if device == 'cuda':
        torch.cuda.synchronize()


def summary(seconds):
    """{'median_ms', 'low_ms', 'high_ms'}: the median and the middle half of a list of two or more seconds."""
    low, median, high = statistics.quantiles(seconds, n=4, method='inclusive')
    return {key: 1e3 * value for key, value in (('median_ms', median), ('low_ms', low), ('high_ms', high))}


def median_ratio(slow, fast):
    """Median over rounds of slow / fast."""
    return statistics.median(a / b for a, b in zip(slow, fast))


def peak_extra_mib(function, device='cpu'):
    """Most MiB of tensors alive at once while ``function`` runs, above what was alive before; results count."""
    if device == 'cuda':
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        function()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        function()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'trace.json'
        profile.export_chrome_trace(str(path))
        events = [event for event in json.loads(path.read_text())['traceEvents'] if event.get('name') == '[memory]']
    events.sort(key=lambda event: event['ts'])
    alive = peak = 0
    for event in events:
        alive += event['args']['Bytes']
        peak = max(peak, alive)
    return peak / 2**20


def in_a_process(function):
    """What a function returns in a process of its own, and dict of its ``cpu_s``, ``wall_s`` and ``peak_mib``."""
    context = multiprocessing.get_context('fork')
    receiver, sender = context.Pipe(duplex=False)

    def run():
        cpu, wall = time.process_time(), time.perf_counter()
        value = function()
        used = dict(cpu_s=time.process_time() - cpu, wall_s=time.perf_counter() - wall)
        sender.send((value, dict(used, peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)))

    process = context.Process(target=run)
    process.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        raise ValueError('a measured process ended early: see its error above') from None
    finally:
        process.join()
