"""Look at this installation: versions, GPU, operators, data sets and checkpoints, and what to do next.

    python tools/misc/doctor.py           # also what an issue report needs: it holds no absolute paths and no names
    python tools/misc/doctor.py --json    # the same for programs

It changes nothing and needs no library that might be broken. The exit status is 1 when the environment cannot run.
"""

import sys
from pathlib import Path

from dualdistill_cli import ToolParser, run_tool

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'tools'))


def parse_args(argv=None):
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('--json', action='store_true', help='print JSON instead of text')
    return parser.parse_args(argv)


def main(argv=None):
    """Print the report.

    Returns:
        int: 1 when the environment cannot run.
    """
    args = parse_args(argv)
    from doctor.report import as_dict, as_json, as_text, gather

    report = as_dict(gather(ROOT), ROOT)
    print(as_json(report) if args.json else as_text(report))
    return int(not report['can_run'])


if __name__ == '__main__':
    run_tool(main)
