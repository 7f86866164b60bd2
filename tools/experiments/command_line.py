"""What the commands that train over several seeds have in common: flags, the number of jobs, the machine."""

import argparse
import os
from pathlib import Path


def add_run_flags(parser: argparse.ArgumentParser, seeds: str, what: str) -> None:
    """Add ``--seeds`` (a list of int), ``--data-root`` and ``--jobs``.

    Args:
        parser: Gets the flags.
        seeds: Default seeds, comma separated.
        what: What is trained for each seed, for the help.
    """
    parser.add_argument('--seeds', type=_seeds, default=seeds, help=f'comma separated; {what} (default: {seeds})')
    parser.add_argument('--data-root', type=Path, help='generated data (default: a folder of its own in data/)')
    parser.add_argument(
        '--jobs', type=_positive,
        help='trainings at a time (default: 2 on several CPU cores, 1 on a GPU). On a CPU they share its cores, and '
        'sums are rounded otherwise with other threads: keep to one number for all that you compare',
    )  # fmt: skip


def _seeds(text):
    """'2,1,2' -> [2, 1]; argparse turns the ArgumentTypeError of anything else into its message."""
    seeds = text.split(',')
    if not all(seed.strip().isdigit() for seed in seeds):
        raise argparse.ArgumentTypeError(f'integers from 0 on, separated by commas, are wanted, got "{text}"')
    return list(dict.fromkeys(int(seed) for seed in seeds))


def percentages(text: str) -> tuple:
    """'10,20' -> (10, 20), each from 1 to 100; for argparse."""
    words = text.split(',')
    if not all(word.strip().isdigit() and 1 <= int(word) <= 100 for word in words):
        raise argparse.ArgumentTypeError(f'whole numbers from 1 to 100, separated by commas, are wanted, got "{text}"')
    return tuple(sorted({int(word) for word in words}))


def _positive(text):
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'must be at least 1, got {text}')
    return int(text)


def as_flags(settings: dict) -> list:
    """Turn ``{'seed': 0, 'size': (4, 3), 'masks': True}`` into ``['--seed', 0, '--size', 4, 3, '--masks']``."""
    flags = []
    for key, value in settings.items():
        values = [] if value is True else value if isinstance(value, (list, tuple)) else [value]
        flags += [f'--{key}', *values]
    return flags


def default_jobs() -> int:
    """Steps at a time when the user does not say."""
    from mmdet3d_plugin.engine import pick_device

    return 1 if pick_device() == 'cuda' else min(2, os.cpu_count() or 1)


def describe_machine() -> str:
    """Cores and the GPU, if one is used."""
    import torch

    from mmdet3d_plugin.engine import pick_device

    device = torch.cuda.get_device_name() if pick_device() == 'cuda' else 'no GPU used'
    return f'{os.cpu_count()} CPU cores, {device}'
