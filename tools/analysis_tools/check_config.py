"""Check a config without data or a GPU, and print its wiring: levels, shapes, aligners, losses, parameters.

    python tools/analysis_tools/check_config.py configs/quickstart/dualdistill_toy.py
    python tools/analysis_tools/check_config.py <config> --cfg-options model.levels.backbone2=None

Ends with ``error:``, a line for each thing that is wrong or that nothing reads, and exit code 1.
"""

from dualdistill_cli import ToolParser, add_cfg_options, run_tool


def parse_args(argv=None):
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('config', help='config file')
    add_cfg_options(parser)
    return parser.parse_args(argv)


def main(argv=None):
    """Print the table and the notes."""
    args = parse_args(argv)
    from mmdet3d_plugin.audit.config_check import check_config

    table, notes = check_config(args.config, args.cfg_options)
    print(f'{args.config}\n\n{table}\n')
    for note in notes:
        print(f'note: {note}')
    print('ok: nothing wrong, nothing unread')


if __name__ == '__main__':
    run_tool(main)
