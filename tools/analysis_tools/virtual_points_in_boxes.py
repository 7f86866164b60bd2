"""How many virtual points lie in the annotated 3-D box of their object: a check of poses, calibration and depths.

    python tools/analysis_tools/virtual_points_in_boxes.py --root-path data/nuscenes --version v1.0-mini --out boxes.png

Masks are made from the annotations, the nearer object in front. ``--outline box`` fills the outline of the projected
box; it also covers ground and background beside the object, whose depths then go to the object. ``--outline points``
fills the convex outline of the object's own projected LiDAR points, which is closer to a real mask. ``--outline
rendered`` takes the exact masks of a generated data set.
"""

from pathlib import Path

from dualdistill_cli import ToolParser, run_tool
from dualdistill_cli.flags import add_camera_option

OUTLINES = ('box', 'points', 'rendered')


def parse_args(argv=None):
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('--root-path', default='./data/nuscenes', help='nuScenes data root (default: %(default)s)')
    parser.add_argument('--version', help='default: the first that is found')
    add_camera_option(parser)
    parser.add_argument('--outline', choices=OUTLINES, default='points', help='masks (default: %(default)s)')
    parser.add_argument('--num', type=int, default=20, help='keyframes at most (default: %(default)s)')
    parser.add_argument('--num-points', type=int, default=50, help='virtual points an instance (default: %(default)s)')
    parser.add_argument('--max-camera-gap', type=float, default=0.1, help='s (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='of the drawn pixels (default: %(default)s)')
    parser.add_argument('--out', type=Path, help='picture of the first keyframe from above: boxes, points, no image')
    return parser.parse_args(argv)


def main(argv=None):
    """Print the table and write the picture."""
    args = parse_args(argv)
    import mmdet3d_plugin  # noqa: F401  first: it prepares the libraries imported below

    # isort: split
    from benchmarks.points_in_boxes import measure

    measure(args)


if __name__ == '__main__':
    run_tool(main)
