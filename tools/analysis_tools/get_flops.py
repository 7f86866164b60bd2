"""Parameters and multiply-adds of each part of a model, for one sample, counted while it answers.

    python tools/analysis_tools/get_flops.py configs/bevdepth/bevdepth4d_r50_256x704_cbgs_24e_nus.py
    python tools/analysis_tools/get_flops.py <distillation config> --out outputs/benchmark/flops.json

Of a distillation config: student, teacher and aligners. Multiply-adds are half the operations that
torch.utils.flop_counter counts: matrix products, convolutions (deformable ones too) and attention. Not counted:
normalisation, activations, interpolation, pooling, voxelisation and the aligners' matrix parametrisation.
"""

import sys
from pathlib import Path

from benchmarks.arguments import add_model_arguments

from dualdistill_cli import ToolParser, run_tool


def parse_args(argv=None):
    """Read the command line."""
    parser = ToolParser(__doc__)
    add_model_arguments(parser)
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cpu')
    parser.add_argument('--out', '--json', type=Path, help='also write numbers and table to this file')
    return parser.parse_args(argv)


def main(argv=None):
    """Print the table."""
    argv = sys.argv[1:] if argv is None else argv
    args = parse_args(argv)
    import mmdet3d_plugin  # noqa: F401  first: it prepares the libraries imported below

    # isort: split
    from benchmarks.flops import measure
    from benchmarks.report import measure_and_report

    measure_and_report('get_flops.py', argv, args, measure)


if __name__ == '__main__':
    run_tool(main)
