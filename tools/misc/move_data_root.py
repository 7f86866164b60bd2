"""Print the ``--cfg-options`` that make a config read its data from another folder, one a line.

python tools/misc/move_data_root.py <config> <data root>
"""

import argparse
import sys
from pathlib import Path

from mmcv import Config

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from workflow.relocate import data_options  # noqa: E402


def main(argv=None):
    """Print the options; none when the config already reads from there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('data_root', help='folder to read from instead')
    args = parser.parse_args(argv)
    cfg = Config.fromfile(args.config, import_custom_modules=False)
    root = args.data_root.rstrip('/') or '/'
    for option in data_options(cfg, root):
        print(option)


if __name__ == '__main__':
    main()
