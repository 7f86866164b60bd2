"""Print the ``--cfg-options`` that make a config read its data from another folder, one a line.

python tools/misc/move_data_root.py <config> <data root>
"""

import sys
from pathlib import Path

from dualdistill_cli import ToolParser, run_tool

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from experiments.config_file import data_options, read_config  # noqa: E402


def main(argv=None):
    """Print the options; none when the config already reads from there."""
    parser = ToolParser(__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('data_root', help='folder to read from instead')
    args = parser.parse_args(argv)
    for option in data_options(read_config(args.config), args.data_root.rstrip('/') or '/'):
        print(option)


if __name__ == '__main__':
    run_tool(main)
