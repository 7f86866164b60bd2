"""``benchmark.py data``: where the time of a training sample goes, and how many samples worker processes deliver."""

import math
import sys
import time
from itertools import islice

import mmcv
from mmdet.datasets import RepeatDataset, build_dataloader
from mmdet.utils import compat_cfg
from mmdet3d.datasets import build_dataset

from mmdet3d_plugin.engine.preflight import check_data

from .models import read_config
from .timing import summary


def measure(args):
    """(numbers by name, e.g. 'data.workers2.samples_per_s'; tables ``steps`` and ``loader``) of ``data.train``.

    Raises:
        FileNotFoundError: files of the data set are missing.
        ValueError: fewer samples than there are batches of all workers.
    """
    if args.device != 'cpu':
        raise ValueError('samples are made on the CPU: leave out --device')
    cfg = compat_cfg(read_config(args))
    dataset = build_dataset(cfg.data.train)
    check_data(dataset)
    numbers, steps = _time_steps(_innermost(dataset), args.samples)
    size = cfg.data.train_dataloader.samples_per_gpu
    repeated = RepeatDataset(dataset, math.ceil((args.samples + 2 * size * max(args.workers)) / len(dataset)))
    loader = [('data loader', 'samples/s', 'per worker')]
    for workers in args.workers:
        speed = _loader_speed(repeated, size, workers, args.samples)
        numbers[f'data.workers{workers}.samples_per_s'] = speed
        loader.append((f'{workers} worker(s), batches of {size}', f'{speed:.2f}', f'{speed / workers:.2f}'))
    return numbers, dict(steps=steps, loader=loader)


def _innermost(dataset):
    while hasattr(dataset, 'dataset') or hasattr(dataset, 'datasets'):
        dataset = dataset.dataset if hasattr(dataset, 'dataset') else dataset.datasets[0]
    return dataset


def _time_steps(dataset, samples):
    """Time of each pipeline step in this process, after one untimed sample."""
    names = ['info', *(type(step).__name__ for step in dataset.pipeline.transforms)]
    names = [f'{number}. {name}' for number, name in enumerate(names)]
    seconds = [
        _step_seconds(dataset, number % len(dataset))
        for number in mmcv.track_iter_progress(range(samples + 1), bar_width=20, file=sys.stderr)
    ][1:]
    per_step = dict(zip(names, zip(*seconds)))
    found = {name: summary(times) for name, times in per_step.items()}
    total = summary([sum(sample) for sample in seconds])['median_ms']
    numbers = {f'data.{name}.{key}': value for name, times in found.items() for key, value in times.items()}
    numbers['data.one_process.samples_per_s'] = 1e3 / total
    rows = [('pipeline step', 'ms', 'share')]
    rows += [(name, f'{ms["median_ms"]:.2f}', f'{100 * ms["median_ms"] / total:.1f} %') for name, ms in found.items()]
    rows.append(('a sample', f'{total:.2f}', f'{1e3 / total:.2f} samples/s in one process'))
    return numbers, rows


def _step_seconds(dataset, index):
    """Seconds of reading the info and of every step."""
    marks = [time.perf_counter()]
    item = dataset.get_data_info(index)
    dataset.pre_pipeline(item)
    marks.append(time.perf_counter())
    for step in dataset.pipeline.transforms:
        item = step(item)
        marks.append(time.perf_counter())
    return [end - start for start, end in zip(marks, marks[1:])]


def _loader_speed(dataset, batch_size, workers, samples):
    """Samples a second of a running loader: the clock starts when every worker has delivered its first batch."""
    loader = iter(build_dataloader(dataset, batch_size, workers, dist=False, shuffle=True, seed=0))
    for _ in islice(loader, workers):
        pass
    batches = math.ceil(samples / batch_size)
    start = time.perf_counter()
    for _ in islice(loader, batches):
        pass
    return batches * batch_size / (time.perf_counter() - start)
