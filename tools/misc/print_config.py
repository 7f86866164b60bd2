"""Print a config as a run sees it: bases merged, ``{{_base_...}}`` filled in, overrides applied.

python tools/misc/print_config.py configs/quickstart/dualdistill_toy.py --cfg-options optimizer.lr=1e-3
"""

from dualdistill_cli import ToolParser, add_cfg_options, run_tool


def parse_args(argv=None):
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('config', help='config file')
    add_cfg_options(parser)
    return parser.parse_args(argv)


def main(argv=None):
    """Print the merged config."""
    args = parse_args(argv)
    from mmdet3d_plugin.audit.config_problem import blame
    from mmdet3d_plugin.audit.overrides import load_checked

    with blame('config file'):
        cfg = load_checked(args.config, args.cfg_options)[0]
    print(cfg.pretty_text)


if __name__ == '__main__':
    run_tool(main)
