"""Add the camera frames before each keyframe to the info files.

Reads <tag>_infos_{train,val,test}.pkl, writes <tag>_infos_{train,val,test}_4d_interval3_max60.pkl. Cameras, splits and
classes are those that tools/create_data.py wrote down.

    python tools/data_converter/prepare_nuscenes_for_bevdet4d.py
"""

from pathlib import Path

from dualdistill_cli import ToolParser, run_tool


def parse_args(argv=None):
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('--root-path', default='./data/nuscenes', help='nuScenes data root (default: %(default)s)')
    parser.add_argument('--out-dir', help='folder of the info files, read and written (default: the data root)')
    parser.add_argument('--extra-tag', default='nuscenes', help='prefix of the info files (default: %(default)s)')
    parser.add_argument('--version', help='convert only info files of this nuScenes version (default: all found)')
    parser.add_argument('--interval', type=int, default=3, help='step, in camera sweeps (default: %(default)s)')
    parser.add_argument('--max-prev', type=int, default=60, help='furthest, in camera sweeps (default: %(default)s)')
    parser.add_argument('--workers', type=int, default=1, help='processes (default: %(default)s)')
    args = parser.parse_args(argv)
    if not 1 <= args.interval <= args.max_prev:
        parser.error(f'need 1 <= --interval <= --max-prev, got {args.interval} and {args.max_prev}')
    return args


def find_base_files(folder, args):
    """Base info files as {version: {split: content of the file}}."""
    from mmdet3d_plugin.datasets.infos.info_io import command_for, info_filename, load_infos

    found = {}
    for split in ('train', 'val', 'test'):
        path = folder / info_filename(args.extra_tag, split)
        if not path.is_file():
            print(f'{split}: no {path}, skipped')
            continue
        data = load_infos(path, kind='base')
        version = data['metadata']['version']
        if args.version in (None, version):
            found.setdefault(version, {})[split] = data
        else:
            print(f'{split}: {path} is of {version}, not {args.version}, skipped')
    if not found:
        path = folder / info_filename(args.extra_tag, 'train')
        wanted = f' of {args.version}' if args.version else ''
        raise FileNotFoundError(
            f'{folder}: no base info files{wanted}. Make them with: {command_for(path, version=args.version)}'
        )
    return found


def convert(folder, args):
    """Write the 4-D info file of every base info file."""
    from mmdet3d_plugin.datasets.infos.columns import TableColumns
    from mmdet3d_plugin.datasets.infos.info_io import info_filename, save_infos
    from mmdet3d_plugin.datasets.infos.nuscenes_infos_4d import build_infos_4d

    for version, splits in find_base_files(folder, args).items():
        print(f'{args.root_path}: loading the tables of {version}', flush=True)
        nusc = TableColumns(args.root_path, version, args.workers)
        for split, data in splits.items():
            infos = data['infos']
            result = build_infos_4d(nusc, infos, args.interval, args.max_prev, args.workers)
            path = folder / info_filename(args.extra_tag, split, '4d', args.interval, args.max_prev)
            stamp = dict(
                kind='4d', interval=args.interval, max_prev=args.max_prev, origin=data['metadata'].get('origin')
            )
            save_infos(path, result.infos, version=version, split=split, **stamp)
            print(f'{split}: {len(infos)} samples with {result.frames} previous frames -> {path}')
            if result.missing_frames:
                print(f'{split}: {result.missing_frames} frame(s) left out, images are missing or too far off in time')


def main(argv=None):
    """Write the files."""
    args = parse_args(argv)
    from mmdet3d_plugin.structures.atomic_file import remove_leftovers

    folder = Path(args.out_dir or args.root_path)
    for line in remove_leftovers(folder).lines():
        print(line)
    convert(folder, args)


if __name__ == '__main__':
    run_tool(main)
