"""Make the info files of a nuScenes data root, <tag>_infos_{train,val,test}.pkl, and databases of its training objects.

python tools/create_data.py nuscenes --root-path ./data/nuscenes --out-dir ./data/nuscenes --extra-tag nuscenes
    --gt-database    also <tag>_dbinfos_train.pkl for ground-truth sampling
    --virtual        also <tag>_dbinfos_train_virtual.pkl, for which the virtual points must be there
    --unlabelled-sweeps 1    also <tag>_infos_{train,test}_unlabelled1.pkl: sweeps between keyframes, docs/unlabelled.md

Your own data in nuScenes format, with other cameras, scene names or categories: docs/own_data.md.
"""

from collections import Counter
from pathlib import Path

from dualdistill_cli import ToolParser, run_tool
from dualdistill_cli.flags import add_camera_option, add_split_option, parse_class

NUM_SWEEPS = 10  # of the published teachers, the keyframe included


def parse_args(argv=None):
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('dataset', choices=['nuscenes'], help='data set to convert')
    parser.add_argument('--root-path', default='./data/nuscenes', help='nuScenes data root (default: %(default)s)')
    parser.add_argument('--out-dir', help='folder of the info files (default: the data root)')
    parser.add_argument('--extra-tag', default='nuscenes', help='prefix of the info files (default: %(default)s)')
    parser.add_argument('--version', help='e.g. v1.0-mini (default: v1.0-trainval and v1.0-test as present, else mini)')
    add_split_option(parser)
    add_camera_option(parser)
    parser.add_argument(
        '--class-map', nargs='+', type=parse_class, default=[], metavar='CATEGORY=CLASS',
        help='detection classes of categories with names of their own, as in lorry=truck',
    )  # fmt: skip
    parser.add_argument('--max-sweeps', type=int, default=10, help='LiDAR sweeps per keyframe (default: %(default)s)')
    parser.add_argument(
        '--unlabelled-sweeps', type=int, metavar='N',
        help='also the info file of N unlabelled sweeps between two keyframes, for the training and the test split',
    )  # fmt: skip
    parser.add_argument('--gt-database', action='store_true', help='also the database of training objects')
    parser.add_argument(
        '--virtual', action='store_true', help='also the database of training objects with virtual points'
    )
    parser.add_argument(
        '--num-sweeps',
        type=int,
        default=NUM_SWEEPS,
        help="sweeps in the databases' points, the keyframe included (default: %(default)s)",
    )
    parser.add_argument('--workers', type=int, default=1, help='processes (default: %(default)s)')
    return parser.parse_args(argv)


def convert(version, args):
    """Write the info files of one version; returns the number of files written."""
    from mmdet3d_plugin.datasets.infos.cameras import choose_cameras
    from mmdet3d_plugin.datasets.infos.categories import category_report, check_class_map
    from mmdet3d_plugin.datasets.infos.columns import TableColumns
    from mmdet3d_plugin.datasets.infos.info_io import info_filename, save_infos
    from mmdet3d_plugin.datasets.infos.nuscenes_infos import build_infos
    from mmdet3d_plugin.datasets.infos.splits import scenes_by_split, split_names

    print(f'{args.root_path}: loading the tables of {version}', flush=True)
    nusc = TableColumns(args.root_path, version, args.workers)
    class_map, cameras = dict(args.class_map), choose_cameras(nusc, args.cameras)
    check_class_map(class_map, nusc)
    by_split, unplaced = scenes_by_split(nusc, args.split_file)
    source = split_names(nusc, args.split_file)[1]
    print(f'splits: {source}')
    if unplaced:
        print(f'{len(unplaced)} scene(s) are in no split of {version} and are left out: {", ".join(unplaced[:10])}')
    written, categories = [], Counter()
    for split, scenes in by_split.items():
        path = Path(args.out_dir or args.root_path) / info_filename(args.extra_tag, split)
        if not scenes:
            print(f'{split}: no scene of this split in the tables, {path} is not written')
            continue
        result = build_infos(nusc, scenes, args.max_sweeps, args.workers, cameras, class_map)
        origin = dict(scenes=[scene['name'] for scene in scenes], split_source=source, class_map=class_map)
        save_infos(path, result.infos, version=version, split=split, origin=origin)
        report(split, path, scenes, result)
        categories += result.categories
        written.append(split)
        if split == 'train':
            make_databases(path, args)
        if args.unlabelled_sweeps and split != 'val':
            write_unlabelled(version, split, scenes, cameras, origin, args)
    if categories:
        print('\n'.join(category_report(categories, class_map)))
    return len(written)


def report(split, path, scenes, result):
    """Say what the info file of a split holds, and what was left out."""
    from mmdet3d_plugin.datasets.infos.info_columns import COUNTS

    print(f'{split}: {len(result.infos)} samples of {len(scenes) - len(result.absent_scenes)} scene(s) -> {path}')
    if result.missing_sweeps:
        print(f'{split}: {result.missing_sweeps} sweep(s) left out, their files are missing')
    if result.absent_scenes:
        names = ', '.join(result.absent_scenes[:10])
        print(f'{split}: {len(result.absent_scenes)} scene(s) without any file left out: {names}')
    counts = dict(zip(COUNTS, result.infos.columns.counts.sum(axis=(0, 1))))
    if counts['all'] and not counts['valid']:
        print(
            f'warning: {split}: no box holds a LiDAR or radar point, so training and evaluation see none: fill in '
            f'num_lidar_pts in sample_annotation.json'
        )


def write_unlabelled(version, split, scenes, cameras, origin, args):
    """Write the info file of the sweeps between the keyframes of a split."""
    from mmdet3d_plugin.datasets.infos.info_io import info_filename, save_infos
    from mmdet3d_plugin.datasets.infos.tables import load_tables
    from mmdet3d_plugin.datasets.infos.unlabelled_infos import build_unlabelled_infos

    nusc, number = load_tables(args.root_path, version), args.unlabelled_sweeps
    frames = dict(interval=3, max_prev=60)
    result = build_unlabelled_infos(
        nusc, scenes, number, max_sweeps=args.max_sweeps, cameras=cameras, workers=args.workers, **frames
    )
    name = info_filename(args.extra_tag, split, 'unlabelled', per_interval=number)
    path = Path(args.out_dir or args.root_path) / name
    if not result.infos:
        print(f'{split}: no sweep between keyframes has all its files, {path} is not written')
        return
    save_infos(path, result.infos, version, split, 'unlabelled', origin=origin, **frames)
    left_out = f', {result.missing} left out: files or images near in time are missing' if result.missing else ''
    print(f'{split}: {len(result.infos)} unlabelled sweeps{left_out} -> {path}')


def make_databases(info_path, args):
    """Write the databases that the command line asks for."""
    from mmdet3d_plugin.datasets.gt_database.build import build_database

    for virtual_points in [False] * args.gt_database + [True] * args.virtual:
        print(f'ground-truth database {"with" if virtual_points else "without"} virtual points', flush=True)
        path, counts, empty = build_database(
            info_path, args.root_path, args.extra_tag, args.num_sweeps, virtual_points, args.workers
        )
        numbers = ', '.join(f'{name} {count}' for name, count in counts.items())
        print(f'{sum(counts.values())} objects ({numbers}) -> {path}; {empty} boxes without a point left out')


def main(argv=None):
    """Write the files; ValueError when there was nothing to write."""
    args = parse_args(argv)
    from mmdet3d_plugin.datasets.infos.splits import find_versions
    from mmdet3d_plugin.structures.atomic_file import remove_leftovers

    for line in remove_leftovers(args.out_dir or args.root_path).lines():
        print(line)
    written = sum([convert(version, args) for version in find_versions(args.root_path, args.version)])
    if not written:
        raise ValueError(f'{args.root_path}: none of its scenes is in a split: name yours in a file for --split-file')


if __name__ == '__main__':
    run_tool(main)
