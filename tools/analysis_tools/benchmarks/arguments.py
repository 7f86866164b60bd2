"""What the benchmarks measure and the flags of each, without what they measure with."""

import argparse
from dataclasses import dataclass
from typing import Callable

from dualdistill_cli import add_cfg_options


@dataclass(frozen=True)
class Subject:
    """One subcommand of ``benchmark.py``.

    Attributes:
        module: Module of this package with ``measure(args)``.
        help: One line.
        add_arguments: Gives the subcommand's parser the flags of its own.
    """

    module: str
    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """The config, and how much there is in a made-up sample of its sizes."""
    _add_config(parser)
    parser.add_argument('--boxes', type=int, default=40, help='boxes a sample (default: %(default)s)')
    parser.add_argument('--points', type=int, default=250000, help='LiDAR points a sample (default: %(default)s)')


def _add_config(parser):
    parser.add_argument('config', help='config file')
    add_cfg_options(parser)


def _of_operators(parser):
    parser.add_argument('--tiny', action='store_true', help='tiny sizes: only shows that everything runs')


def _of_attention(parser):
    parser.add_argument('--tiny', action='store_true', help='tiny sizes: only shows that everything runs')


def _of_step(parser):
    add_model_arguments(parser)
    parser.add_argument('--batch', type=int, nargs='+', default=[1], help='batch sizes, rising (default: 1)')
    parser.add_argument('--precision', nargs='+', choices=['fp32', 'bf16'], default=['fp32'], help='bf16: autocast')
    parser.add_argument(
        '--teacher-cells', type=int, default=100,
        help='cells a sample that a teacher of random weights is made sure of (default: %(default)s)',
    )  # fmt: skip


def _of_data(parser):
    _add_config(parser)
    parser.add_argument('--samples', type=int, default=60, help='samples timed in each part (default: %(default)s)')
    parser.add_argument('--workers', type=int, nargs='+', default=[1, 2], help='worker processes (default: 1 2)')


def _of_inference(parser):
    add_model_arguments(parser)
    parser.add_argument('--checkpoint', help='weights; initial ones without (they give as many boxes as can be)')
    parser.add_argument('--fuse-conv-bn', action='store_true', help='fold batch norm into convolutions')
    parser.add_argument('--batch', type=int, nargs='+', default=[1], help='batch sizes (default: 1)')
    parser.add_argument(
        '--precision', nargs='+', choices=['fp32', 'fp16', 'bf16'], default=['fp32'], help='others: autocast'
    )


def _of_evaluation(parser):
    parser.add_argument(
        '--keyframes', type=int, default=600, help='samples; nuScenes has 6019 for validation (default: %(default)s)'
    )
    parser.add_argument('--boxes', type=int, default=300, help='detections a sample (default: %(default)s)')
    parser.add_argument('--objects', type=int, default=30, help='annotations a sample (default: %(default)s)')


SUBJECTS = dict(
    ops=Subject('operators', "BEV pooling, regions and AOA's projection against other algorithms", _of_operators),
    attention=Subject(
        'bev_attention',
        "BEVFormer's spatial attention packed and padded, its history without and with gradients",
        _of_attention,
    ),
    sparse=Subject('sparse_convolution', 'sparse 3-D convolution against plain torch', _of_operators),
    step=Subject('step', "the distilled training step part by part, beside the student's and the teacher", _of_step),
    data=Subject('pipeline', 'where the time of a training sample goes, and what worker processes deliver', _of_data),
    evaluation=Subject(
        'evaluation', "the evaluation, fast and by nuScenes' devkit, on generated results", _of_evaluation
    ),
    inference=Subject('inference', 'how fast a trained model answers, and what memory it takes', _of_inference),
)
