"""Run an instance segmentation model of mmdet over nuScenes' camera images and keep its masks for virtual points.

    python tools/data_converter/detect_instance_masks.py CONFIG CHECKPOINT --out-dir data/nuscenes/masks

Writes one COCO-style json file per image, what ``create_virtual_points.py --masks`` reads. Run it again to resume. Only
images that are nearest in time to some LiDAR sweep are looked at.
"""

from pathlib import Path

from dualdistill_cli import ToolParser, run_tool
from dualdistill_cli.flags import add_camera_option, parse_class, parse_shard


def parse_args(argv=None):
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('config', help='mmdet 2.x config of a model with masks')
    parser.add_argument('checkpoint', help='its weights')
    parser.add_argument('--root-path', default='./data/nuscenes', help='nuScenes data root (default: %(default)s)')
    parser.add_argument('--version', help='e.g. v1.0-mini (default: v1.0-trainval and v1.0-test as present, else mini)')
    add_camera_option(parser)
    parser.add_argument('--out-dir', type=Path, required=True, help='folder of the mask files')
    parser.add_argument('--score-thr', type=float, default=0.3, help='lowest score kept (default: %(default)s)')
    parser.add_argument(
        '--class-map', nargs='+', type=parse_class, default=[], metavar='CATEGORY=CLASS',
        help='detection classes of model classes with other names, as in person=pedestrian',
    )  # fmt: skip
    parser.add_argument('--max-camera-gap', type=float, default=0.1, help='s, as of the next tool')
    parser.add_argument('--shard', type=parse_shard, default=(0, 1), metavar='I/N', help='this process of N, from 0/N')
    parser.add_argument('--device', help='default: cuda:0 where there is a GPU, else cpu')
    return parser.parse_args(argv)


def list_images(args):
    """list[str]: Images of this shard, relative to the data root, in order."""
    from mmdet3d_plugin.datasets.infos.cameras import choose_cameras
    from mmdet3d_plugin.datasets.infos.splits import find_versions
    from mmdet3d_plugin.datasets.infos.tables import load_tables
    from mmdet3d_plugin.virtual_points.jobs import list_tasks

    paths = {}
    for version in find_versions(args.root_path, args.version):
        nusc = load_tables(args.root_path, version)
        cameras = choose_cameras(nusc, args.cameras)
        for task in list_tasks(nusc, nusc.scene, args.max_camera_gap, cameras=cameras):
            paths.update((nusc.get('sample_data', token)['filename'], None) for token in task.cameras)
    return list(paths)[args.shard[0] :: args.shard[1]]


def build_model(args):
    """Model, and for each of its classes the detection class or None.

    Raises:
        ValueError: The model has no masks, or none of its classes is a detection class.
    """
    import torch

    import mmdet3d_plugin  # noqa: F401  first: it prepares the libraries imported below

    # isort: split
    from mmdet.apis import init_detector

    from dualdistill_runtime.detection_classes import DETECTION_CLASSES

    device = args.device or ('cuda:0' if torch.cuda.is_available() else 'cpu')
    model = init_detector(args.config, args.checkpoint, device=device)
    if not model.with_mask:
        raise ValueError(f'{args.config}: {type(model).__name__} has no masks; take an instance segmentation model')
    class_map = dict({name: name for name in DETECTION_CLASSES}, **dict(args.class_map))
    names = [class_map.get(name) for name in model.CLASSES]
    unknown = sorted(set(names) - {None} - set(DETECTION_CLASSES))
    if unknown or not any(names):
        raise ValueError(
            f'the model knows {model.CLASSES}, of which --class-map and equal names make {names}; '
            f'the detection classes are {DETECTION_CLASSES}'
        )
    return model, names


def instances_of(result, names, score_thr):
    """Yield (detection class, score, mask (H, W) bool) of a result of ``inference_detector``."""
    for name, boxes, masks in zip(names, *result):
        for box, mask in zip(boxes, masks):
            if name is not None and box[4] >= score_thr:
                yield name, float(box[4]), mask


def detect(args):
    """Write the missing mask files; returns counts (written, already there, images missing or unreadable)."""
    import cv2

    model, names = build_model(args)
    import mmcv
    from mmdet.apis import inference_detector

    from mmdet3d_plugin.virtual_points.coco_masks import coco_mask_path, write_image_masks

    written = present = missing = 0
    for path in mmcv.track_iter_progress(list_images(args)):
        target = args.out_dir / coco_mask_path(path)
        if target.is_file():
            present += 1
            continue
        image = cv2.imread(str(Path(args.root_path) / path))
        if image is None:
            missing += 1
            continue
        instances = instances_of(inference_detector(model, image), names, args.score_thr)
        write_image_masks(target, path, image.shape[:2], instances)
        written += 1
    return written, present, missing


def main(argv=None):
    """Run the detector."""
    args = parse_args(argv)
    written, present, missing = detect(args)
    print(f'{written} mask files written to {args.out_dir}, {present} already there')
    if missing:
        print(f'{missing} images are missing or cannot be read: left out')
    if not written + present:
        raise ValueError(f'{args.root_path}: not a single image could be read')


if __name__ == '__main__':
    run_tool(main)
