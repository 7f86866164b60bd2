"""Check a config without data or a GPU, and print its wiring: levels, shapes, aligners, losses, parameters.

    python tools/analysis_tools/check_config.py configs/quickstart/dualdistill_toy.py
    python tools/analysis_tools/check_config.py <config> --cfg-options model.levels.backbone2=None

Ends with one line that starts with ``error:`` and exit code 1 at the first thing that is wrong or that nothing reads.
"""

import argparse
import sys

import mmdet3d_plugin  # noqa: F401  first: it prepares the libraries imported below

# isort: split
from mmcv import DictAction

from mmdet3d_plugin.audit.config_check import check_config
from mmdet3d_plugin.audit.problems import ConfigProblem


def parse_args(argv=None):
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='overrides, key.subkey=value')
    return parser.parse_args(argv)


def main(argv=None):
    """Print the table and the notes."""
    args = parse_args(argv)
    table, notes = check_config(args.config, args.cfg_options)
    print(f'{args.config}\n\n{table}\n')
    for note in notes:
        print(f'note: {note}')
    print('ok: nothing wrong, nothing unread')


if __name__ == '__main__':
    try:
        main()
    except ConfigProblem as problem:
        sys.exit(f'error: {problem}')
