"""Print a config as a run sees it: bases merged, ``{{_base_...}}`` filled in, overrides applied.

python tools/misc/print_config.py configs/quickstart/dualdistill_toy.py --cfg-options optimizer.lr=1e-3
"""

import argparse
import sys

import mmdet3d_plugin  # noqa: F401  first: configs import it and what it prepares

# isort: split
from mmcv import DictAction

from mmdet3d_plugin.audit.overrides import load_checked
from mmdet3d_plugin.audit.problems import ConfigProblem, blame


def parse_args(argv=None):
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='overrides, key.subkey=value')
    return parser.parse_args(argv)


def main(argv=None):
    """Print the merged config."""
    args = parse_args(argv)
    with blame('config file'):
        cfg = load_checked(args.config, args.cfg_options)[0]
    print(cfg.pretty_text)


if __name__ == '__main__':
    try:
        main()
    except ConfigProblem as problem:
        sys.exit(f'error: {problem}')
