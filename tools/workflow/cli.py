"""What the commands that run a workflow have in common: flags, the number of jobs, and how they end."""

import argparse
import os
import signal
import sys
from pathlib import Path

from .schedule import run_steps
from .step import StepFailedError


def add_run_flags(parser, seeds, what):
    """Add the flags of every workflow.

    Args:
        parser (argparse.ArgumentParser): Gets ``--seeds`` (a list of int), ``--data-root`` and ``--jobs``.
        seeds (str): Default seeds, comma separated.
        what (str): What is trained for each seed, for the help.
    """
    parser.add_argument('--seeds', type=seed_list, default=seeds, help=f'comma separated; {what} (default: {seeds})')
    parser.add_argument('--data-root', type=Path, help='generated data (default: a folder of its own in data/)')
    parser.add_argument(
        '--jobs', type=_positive, help='trainings at a time (default: 2 on several CPU cores, 1 on a GPU)'
    )


def seed_list(text):
    """'2,1,2' -> [2, 1]; argparse turns the ArgumentTypeError of anything else into its message."""
    seeds = text.split(',')
    if not all(seed.strip().isdigit() for seed in seeds):
        raise argparse.ArgumentTypeError(f'integers from 0 on, separated by commas, are wanted, got "{text}"')
    return list(dict.fromkeys(int(seed) for seed in seeds))


def _positive(text):
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'must be at least 1, got {text}')
    return int(text)


def default_jobs():
    """int: Steps at a time when the user does not say."""
    from mmdet3d_plugin.engine import pick_device

    return 1 if pick_device() == 'cuda' else min(2, os.cpu_count() or 1)


def describe_machine():
    """str: Cores and the GPU, if one is used."""
    import torch

    from mmdet3d_plugin.engine import pick_device

    device = torch.cuda.get_device_name() if pick_device() == 'cuda' else 'no GPU used'
    return f'{os.cpu_count()} CPU cores, {device}'


def run_to_the_end(steps, jobs, finished=None):
    """Run steps; a failure or an interruption becomes a message and an exit status.

    Args:
        steps (list[Step]): See :func:`run_steps`.
        jobs (int): Steps at a time.
        finished (Callable[[], None] | None): See :func:`run_steps`.

    Returns:
        tuple[int, dict[str, float]]: Exit status and, when it is 0, step name -> seconds.
    """
    # a killed workflow stops its steps too; whoever called gets the old handler back, as forked processes inherit it
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return 0, run_steps(steps, jobs, finished=finished)
    except StepFailedError as error:
        print(f'\n{error}', file=sys.stderr)
        return 1, {}
    except KeyboardInterrupt:
        print('\ninterrupted; start the same command again to resume', file=sys.stderr)
        return 130, {}
    finally:
        signal.signal(signal.SIGTERM, previous)
