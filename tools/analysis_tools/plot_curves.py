"""Plot losses, learning rate and validation scores of one or several trainings into one picture.

python tools/analysis_tools/plot_curves.py student=outputs/student distilled=outputs/distilled --out curves.png
"""

from pathlib import Path

from dualdistill_cli import ToolParser, run_tool


def parse_args(argv=None):
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('runs', nargs='+', metavar='[NAME=]WORK_DIR', help='folders with *.log.json files')
    parser.add_argument('--out', type=Path, default=Path('curves.png'), help='picture (default: %(default)s)')
    return parser.parse_args(argv)


def main(argv=None):
    """Draw and write the picture."""
    args = parse_args(argv)
    import cv2

    from mmdet3d_plugin.visualization.curves import draw_curves, read_run

    runs = {}
    for text in args.runs:
        name, _, folder = text.rpartition('=')
        runs[name or Path(folder).name] = read_run(folder)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(args.out), draw_curves(runs)[..., ::-1]):
        raise OSError(f'cannot write {args.out}')
    print(args.out)


if __name__ == '__main__':
    run_tool(main)
