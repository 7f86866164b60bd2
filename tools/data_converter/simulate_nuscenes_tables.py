"""Write the tables of a nuScenes of any size, without images or points, to measure converters and data sets with.

850 scenes are as many rows as the real data set has: 2.4 GB of tables, and 1.5 million empty files with --touch.

    python tools/data_converter/simulate_nuscenes_tables.py --out-dir data/simulated --scenes 85 --touch
"""

from dualdistill_cli import ToolParser, run_tool


def parse_args(argv=None):
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('--out-dir', required=True, help='data root to write; it must have no v1.0-trainval yet')
    parser.add_argument('--scenes', type=int, default=85, help='2 to 850 (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='of all numbers and tokens (default: %(default)s)')
    parser.add_argument('--touch', action='store_true', help='also empty files of LiDAR and cameras')
    return parser.parse_args(argv)


def main(argv=None):
    """Write the tables."""
    args = parse_args(argv)
    from mmdet3d_plugin.synthetic.simulated_tables import VERSION, simulate_tables

    rows = simulate_tables(args.out_dir, args.scenes, args.seed, args.touch)
    print(f'{args.out_dir}/{VERSION}: ' + ', '.join(f'{name} {count}' for name, count in rows.items()))


if __name__ == '__main__':
    run_tool(main)
