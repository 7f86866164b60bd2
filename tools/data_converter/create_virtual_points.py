"""Make the virtual points of every LiDAR sweep from instance masks: <sweep folder>_VIRTUAL/<sweep file>.pkl.npy.

    python tools/data_converter/create_virtual_points.py --masks data/nuscenes/masks --workers 8

Run it again to resume: files that are up to date are skipped. docs/virtual_points.md tells where masks come from.
"""

import time

from dualdistill_cli import ToolParser, run_tool
from dualdistill_cli.flags import add_camera_option, add_split_option, parse_class, parse_shard


def parse_args(argv=None):
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('--root-path', default='./data/nuscenes', help='nuScenes data root (default: %(default)s)')
    parser.add_argument('--version', help='e.g. v1.0-mini (default: v1.0-trainval and v1.0-test as present, else mini)')
    parser.add_argument('--splits', nargs='+', choices=['train', 'val', 'test'], help='default: all of the version')
    add_split_option(parser)
    add_camera_option(parser)
    parser.add_argument('--masks', help='COCO-style json file, or folder with one for each image')
    parser.add_argument(
        '--mask-format', choices=['coco', 'rendered'], default='coco',
        help='rendered: exact masks of make_synthetic_nuscenes.py --instance-masks (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument('--coco-images', help='COCO file with images and categories, when --masks is a list of results')
    parser.add_argument(
        '--class-map', nargs='+', type=parse_class, default=[], metavar='CATEGORY=CLASS',
        help='detection classes of categories with other names, as in person=pedestrian',
    )  # fmt: skip
    parser.add_argument('--num-points', type=int, default=50, help='virtual points an instance (default: %(default)s)')
    parser.add_argument('--score-thr', type=float, default=0.0, help='lowest score used (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='of the drawn pixels (default: %(default)s)')
    parser.add_argument(
        '--max-camera-gap', type=float, default=0.1, help='s between sweep and image at most (default: %(default)s)'
    )
    parser.add_argument('--workers', type=int, default=1, help='processes (default: %(default)s)')
    parser.add_argument('--shard', type=parse_shard, default=(0, 1), metavar='I/N', help='this machine of N, from 0/N')
    parser.add_argument(
        '--on-bad-file', choices=['error', 'skip'], default='error',
        help='what to do about a damaged LiDAR or mask file (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument('--overwrite', action='store_true', help='write all files again, also those not made here')
    parser.add_argument('--validate', action='store_true', help='check the existing files instead of writing any')
    args = parser.parse_args(argv)
    if args.mask_format == 'coco' and not args.masks and not args.validate:
        parser.error('--masks is needed; --mask-format rendered takes those of a generated data set')
    return args


def build_reader(args):
    """MaskReader of the command line; None for ``--validate`` without masks."""
    from mmdet3d_plugin.virtual_points.coco_masks import CocoMaskReader
    from mmdet3d_plugin.virtual_points.rendered_masks import RenderedMaskReader

    if args.mask_format == 'rendered':
        return RenderedMaskReader(args.masks or args.root_path)
    if args.masks is None:
        return None
    return CocoMaskReader(args.masks, images_file=args.coco_images, class_map=dict(args.class_map))


def run(version, args, reader):
    """Make or check the files of one version.

    Returns:
        bool: False when a check found something wrong.
    """
    from mmdet3d_plugin.datasets.infos.cameras import choose_cameras
    from mmdet3d_plugin.datasets.infos.splits import scenes_by_split
    from mmdet3d_plugin.datasets.infos.tables import load_tables
    from mmdet3d_plugin.virtual_points import jobs, validate
    from mmdet3d_plugin.virtual_points.create import VirtualPointSettings

    print(f'{args.root_path}: loading the tables of {version}', flush=True)
    nusc = load_tables(args.root_path, version)
    by_split, _ = scenes_by_split(nusc, args.split_file)
    scenes = [scene for split, found in by_split.items() if not args.splits or split in args.splits for scene in found]
    tasks = jobs.list_tasks(nusc, scenes, args.max_camera_gap, args.shard, choose_cameras(nusc, args.cameras))
    print(f'{len(tasks)} sweeps of {len(scenes)} scenes, shard {args.shard[0]}/{args.shard[1]}', flush=True)
    settings = VirtualPointSettings(num_points=args.num_points, min_score=args.score_thr, seed=args.seed)
    start = time.perf_counter()
    if args.validate:
        job = validate.ValidationJob(settings=settings, reader=reader)
        tally = validate.validate_files(nusc, tasks, job, args.workers)
        print('\n'.join(tally.lines(validate.REPORT)))
        return not any(tally.counts[kind] for kind in validate.PROBLEMS)
    job = jobs.CreationJob(reader, settings, skip_bad=args.on_bad_file == 'skip', overwrite=args.overwrite)
    tally = jobs.create_files(nusc, tasks, job, args.workers)
    print('\n'.join(tally.lines(jobs.REPORT)))
    seconds, written = time.perf_counter() - start, tally.counts[jobs.WRITTEN]
    print(f'{written} sweeps in {seconds:.0f} s with {args.workers} process(es), {written / seconds:.2f} sweeps/s')
    if tasks and not any(tally.counts[kind] for kind in (jobs.WRITTEN, jobs.CURRENT, jobs.PUBLISHED)):
        raise ValueError(f'{args.root_path}: no sweep of {version} has virtual points; the counts above say why')
    return True


def main(argv=None):
    """Make or check files; ValueError when a check found something wrong."""
    args = parse_args(argv)
    from mmdet3d_plugin.datasets.infos.splits import find_versions

    versions = find_versions(args.root_path, args.version)
    reader = build_reader(args)
    results = [run(version, args, reader) for version in versions]
    if not all(results):
        raise ValueError('some files are missing or wrong, see above; run again without --validate to make them')


if __name__ == '__main__':
    run_tool(main)
