"""Run an instance segmentation model of mmdet over nuScenes' camera images and keep its masks for virtual points.

    python tools/data_converter/detect_instance_masks.py CONFIG CHECKPOINT --out-dir data/nuscenes/masks

Writes one COCO-style json file per image, what ``create_virtual_points.py --masks`` reads. Run it again to resume. Only
images that are nearest in time to some LiDAR sweep are looked at.
"""

import argparse
import sys
from pathlib import Path

import cv2
import torch
from tqdm import tqdm

import mmdet3d_plugin  # noqa: F401

# isort: split
from mmdet.apis import inference_detector, init_detector

from mmdet3d_plugin.datasets.detection_classes import DETECTION_CLASSES
from mmdet3d_plugin.datasets.infos.cameras import add_camera_option, choose_cameras
from mmdet3d_plugin.datasets.infos.splits import find_versions
from mmdet3d_plugin.datasets.infos.tables import load_tables
from mmdet3d_plugin.datasets.virtual_points.coco_masks import coco_mask_path, write_image_masks
from mmdet3d_plugin.datasets.virtual_points.jobs import list_tasks
from mmdet3d_plugin.datasets.virtual_points.options import parse_class, parse_shard


def parse_args(argv=None):
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
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
    parser.add_argument('--device', default='cuda:0' if torch.cuda.is_available() else 'cpu')
    return parser.parse_args(argv)


def list_images(args):
    """list[str]: Images of this shard, relative to the data root, in order."""
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
    model = init_detector(args.config, args.checkpoint, device=args.device)
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
    model, names = build_model(args)
    written = present = missing = 0
    for path in tqdm(list_images(args), unit='image', smoothing=0.05):
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
    try:
        written, present, missing = detect(args)
    except (OSError, ValueError) as error:
        sys.exit(f'error: {error}')
    print(f'{written} mask files written to {args.out_dir}, {present} already there')
    if missing:
        print(f'{missing} images are missing or cannot be read: left out')
    if not written + present:
        sys.exit(f'error: {args.root_path}: not a single image could be read')


if __name__ == '__main__':
    main()
