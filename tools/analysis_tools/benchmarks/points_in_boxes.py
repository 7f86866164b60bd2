"""How many virtual points lie in the annotated 3-D box of their object."""

from pathlib import Path

import cv2
import numpy as np

from mmdet3d_plugin.datasets.infos.cameras import LIDAR, choose_cameras
from mmdet3d_plugin.datasets.infos.devkit_records import keyframes
from mmdet3d_plugin.datasets.infos.nuscenes_infos import build_infos
from mmdet3d_plugin.datasets.infos.splits import find_versions
from mmdet3d_plugin.datasets.infos.tables import load_tables
from mmdet3d_plugin.datasets.lidar_file import read_lidar
from mmdet3d_plugin.structures.boxes import Boxes
from mmdet3d_plugin.virtual_points.box_masks import (
    annotated_objects,
    distance_to_boxes,
    masks_of_objects,
)
from mmdet3d_plugin.virtual_points.lift import lift_instances
from mmdet3d_plugin.virtual_points.sweeps import load_sweep, scene_tasks
from mmdet3d_plugin.visualization.bev import draw_bev

NEAR = 30.0  # m
TOLERANCE = 0.5  # m
VIRTUAL_COLOUR = (214, 39, 40)


def keyframe_sweeps(nusc, max_gap, cameras):
    """Yield (sample, LidarSweep) of every keyframe."""
    for scene in nusc.scene:
        tasks = {task.lidar: task for task in scene_tasks(nusc, scene, max_gap, cameras)}
        for sample in keyframes(nusc, scene):
            yield sample, load_sweep(nusc, tasks[sample['data'][LIDAR]])


def check_keyframe(nusc, sample, info, sweep, args):
    """Virtual points of one keyframe.

    Returns:
        tuple: LiDAR points (N, 5), the annotated boxes (Boxes), virtual points (K, 3) and their boxes' rows (K,).
    """
    points = read_lidar(Path(nusc.dataroot) / sweep.path)
    xyz = points[:, :3].astype(np.float64)
    objects = annotated_objects(info, [nusc.get('sample_annotation', token) for token in sample['anns']])
    virtual, owners = [np.zeros((0, 3))], [np.zeros(0, dtype=np.int64)]
    for image in sweep.images:
        masks, index = masks_of_objects(args.outline, objects, image, xyz, nusc.dataroot)
        lifted = lift_instances(xyz, image, masks, args.num_points, np.random.default_rng(args.seed))
        virtual.append(lifted.virtual_xyz)
        owners.append(index[lifted.virtual_owner])
    return points, Boxes(objects.boxes, list(objects.names)), np.concatenate(virtual), np.concatenate(owners)


def table(names, ranges, distances):
    """str: Share of points within ``TOLERANCE`` of their box by class, and for objects nearer than ``NEAR``."""
    lines = [f'{"class":<22}{"points":>8}{"share":>8}{f"< {NEAR:g} m":>10}{"share":>8}']
    for name in (*sorted(set(names)), 'all'):
        chosen = np.ones(len(names), dtype=bool) if name == 'all' else names == name
        cells = []
        for part in (chosen, chosen & (ranges < NEAR)):
            share = f'{(distances[part] <= TOLERANCE).mean():.3f}' if part.any() else '-'
            cells.append((part.sum(), share))
        lines.append(f'{name:<22}{cells[0][0]:>8}{cells[0][1]:>8}{cells[1][0]:>10}{cells[1][1]:>8}')
    return '\n'.join(lines)


def draw(points, boxes, virtual, half=45.0, height=900):
    """(height, height, 3) uint8 RGB: boxes green, LiDAR points grey, virtual points red, from above."""
    bev_range = (-half, -half, half, half)
    nothing = Boxes(np.zeros((0, 7)), [], np.zeros(0))
    image = draw_bev(points, boxes, nothing, bev_range, height)
    only_virtual = draw_bev(virtual, nothing, nothing, bev_range, height)
    without = draw_bev(virtual[:0], nothing, nothing, bev_range, height)
    image[(only_virtual != without).any(axis=-1)] = VIRTUAL_COLOUR
    return image


def measure(args):
    """Print the table and write the picture."""
    nusc = load_tables(args.root_path, find_versions(args.root_path, args.version)[0])
    cameras = choose_cameras(nusc, args.cameras)
    infos = {info['token']: info for info in build_infos(nusc, nusc.scene, max_sweeps=0, cameras=cameras).infos}
    sweeps = keyframe_sweeps(nusc, args.max_camera_gap, cameras)
    names, ranges, distances = [], [], []
    for number, (sample, sweep) in enumerate(sweeps):
        if number == args.num:
            break
        points, boxes, virtual, owner = check_keyframe(nusc, sample, infos[sample['token']], sweep, args)
        names.append(np.array(boxes.names, dtype=str)[owner])
        ranges.append(np.linalg.norm(boxes.boxes[owner, :2], axis=1))
        distances.append(distance_to_boxes(virtual, boxes.boxes[owner]))
        if number == 0 and args.out:
            args.out.parent.mkdir(parents=True, exist_ok=True)
            if not cv2.imwrite(str(args.out), draw(points, boxes, virtual)[..., ::-1]):
                raise OSError(f'cannot write {args.out}')
    names, ranges, distances = map(np.concatenate, (names, ranges, distances))
    print(f'masks: {args.outline}; share of virtual points within {TOLERANCE} m of the box of their object:')
    print(table(names, ranges, distances))
    print(f'inside the box: {(distances == 0).mean():.3f}')
