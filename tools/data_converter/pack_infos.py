"""Give info files of earlier versions the index with which a data set opens them at once. Each stays the same pickle.

python tools/data_converter/pack_infos.py data/nuscenes/nuscenes_infos_*.pkl
"""

from dualdistill_cli import ToolParser, run_tool


def parse_args(argv=None):
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('files', nargs='+', help='info files, written anew under their names')
    return parser.parse_args(argv)


def main(argv=None):
    """Write the files."""
    args = parse_args(argv)
    from mmdet3d_plugin.datasets.infos.info_io import pack_info_file

    for path in args.files:
        print(f'{path}: {"written with an index" if pack_info_file(path) else "has an index already"}')


if __name__ == '__main__':
    run_tool(main)
