"""Sweeps per second and core of virtual point creation, beside the same work done pixel by pixel.

    OMP_NUM_THREADS=1 python tools/analysis_tools/benchmark_virtual_points.py

The input is random and of full size: six 1600x900 images around the car, run-length encoded masks of discs, points of a
spinning LiDAR. Times are processor time of this one process, so that other work on the machine does not count.
"""

from dualdistill_cli import ToolParser, run_tool


def parse_args(argv=None):
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('--sweeps', type=int, default=20, help='sweeps timed (default: %(default)s)')
    parser.add_argument('--points', type=int, default=35000, help='LiDAR points a sweep (default: %(default)s)')
    parser.add_argument('--instances', type=int, default=30, help='instances a sweep (default: %(default)s)')
    parser.add_argument('--num-points', type=int, default=50, help='virtual points an instance (default: %(default)s)')
    parser.add_argument('--brute-sweeps', type=int, default=1, help='sweeps done by pixel (default: %(default)s)')
    return parser.parse_args(argv)


def main(argv=None):
    """Print the rates."""
    args = parse_args(argv)
    import mmdet3d_plugin  # noqa: F401  first: it prepares the libraries imported below

    # isort: split
    from benchmarks.virtual_points import measure

    measure(args)


if __name__ == '__main__':
    run_tool(main)
