"""Flags that several tools have, and types of their values."""

import argparse

from .key_values import KeyValueAction
from .parser import ToolParser

LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')


def add_cfg_options(parser: argparse.ArgumentParser, help: str = 'overrides, key.subkey=value') -> None:
    """Give a tool ``--cfg-options``: a dict with dotted keys, or None."""
    parser.add_argument('--cfg-options', nargs='+', action=KeyValueAction, metavar='KEY=VALUE', help=help)


def add_trust_flag(parser: argparse.ArgumentParser) -> None:
    """Give a tool ``--trust-checkpoint``; its value goes to ``mmdet3d_plugin.checkpoints.files.trust_checkpoints``."""
    parser.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='also load checkpoint files that hold pickled code, and so run it: only for files whose origin you trust',
    )


def add_launcher_flags(parser: argparse.ArgumentParser) -> None:
    """Give a tool what the launch scripts and torch's launchers pass on."""
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none', help='job launcher')
    parser.add_argument('--local-rank', '--local_rank', type=int, default=0, help=argparse.SUPPRESS)


def publishing_args(description: str, argv=None) -> argparse.Namespace:
    """Read the command line of a tool that hands out a checkpoint: ``checkpoint``, ``out`` and ``trust_checkpoint``."""
    parser = ToolParser(description)
    parser.add_argument('checkpoint', help='checkpoint of a training run')
    parser.add_argument('out', help='name of the new file; the hash is added to it')
    add_trust_flag(parser)
    return parser.parse_args(argv)


def add_camera_option(parser: argparse.ArgumentParser) -> None:
    """Give a tool ``--cameras``, for ``mmdet3d_plugin.datasets.infos.cameras.choose_cameras``."""
    parser.add_argument(
        '--cameras',
        nargs='+',
        metavar='CAMERA',
        help="cameras to use, as the tables name them (default: nuScenes' six)",
    )


def add_split_option(parser: argparse.ArgumentParser) -> None:
    """Give a tool ``--split-file``, for ``mmdet3d_plugin.datasets.infos.splits.split_names``."""
    parser.add_argument(
        '--split-file',
        help='json file with the scene names of "train", "val" and "test" (default: <version>/splits.json in the data '
        "root where there is one, else nuScenes' official splits)",
    )


def parse_shard(text: str) -> tuple:
    """'1/4' -> (1, 4)."""
    number, _, count = text.partition('/')
    if not (number.isdigit() and count.isdigit() and int(number) < int(count)):
        raise argparse.ArgumentTypeError(f'{text!r}: expected i/n with i from 0 to n-1, as in 0/4')
    return int(number), int(count)


def parse_class(text: str) -> tuple:
    """'person=pedestrian' -> ('person', 'pedestrian')."""
    category, _, name = text.rpartition('=')
    if not category or not name:
        raise argparse.ArgumentTypeError(f'{text!r}: expected CATEGORY=CLASS, as in person=pedestrian')
    return category, name
