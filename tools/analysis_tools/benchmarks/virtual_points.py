"""Virtual point creation beside the same work done pixel by pixel, on random input of full size."""

import tempfile
import time
from pathlib import Path

import numpy as np

from mmdet3d_plugin.datasets.lidar_file import read_lidar
from mmdet3d_plugin.datasets.virtual_point_files.storage import virtual_path, write_virtual_file
from mmdet3d_plugin.virtual_points.coco_masks import CocoMaskReader, coco_mask_path, write_image_masks
from mmdet3d_plugin.virtual_points.create import VirtualPointSettings, gather_inputs, make_virtual_points
from mmdet3d_plugin.virtual_points.lift import lift_instances, sample_pixels
from mmdet3d_plugin.virtual_points.sweeps import CameraImage, LidarSweep
from mmdet3d_plugin.virtual_points.tally import Tally

# nuScenes' images: pixels, and the focal length of all cameras but the one to the back
WIDTH, HEIGHT, FOCAL = 1600, 900, 1266.0


def lift_pixel_by_pixel(xyz, image, instances, num_points, rng):
    """What ``lift_instances`` computes, with loops over points, instances and pixels as one would write them first.

    Returns:
        tuple[np.ndarray, np.ndarray, np.ndarray]: Owner of each point (N,), virtual points (K, 3), their owners (K,).
    """
    transform = image.intrinsic @ image.lidar_to_camera[:3]
    order = sorted(range(len(instances)), key=lambda i: (-instances[i].score, i))
    owner, seen = np.full(len(xyz), -1), {}
    for number, point in enumerate(xyz):
        u, v, depth = transform[:, :3] @ point + transform[:, 3]
        if depth <= 0.1 or not (-0.5 <= u / depth < image.width - 0.5 and -0.5 <= v / depth < image.height - 0.5):
            continue
        col, row = int(np.floor(u / depth + 0.5)), int(np.floor(v / depth + 0.5))
        for index in order:
            mask = instances[index].mask
            y, x = row - instances[index].top, col - instances[index].left
            if 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1] and mask[y, x]:
                owner[number] = index
                seen.setdefault(index, []).append((u / depth, v / depth, depth))
                break
    camera_to_lidar, lens = np.linalg.inv(image.lidar_to_camera), np.linalg.inv(image.intrinsic)
    virtual, virtual_owner = [], []
    for index in sorted(seen):
        for col, row in sample_pixels(instances[index], num_points, rng):
            _, depth = min(((col - u) ** 2 + (row - v) ** 2, depth) for u, v, depth in seen[index])
            virtual.append((camera_to_lidar @ [*(lens @ [col, row, 1.0] * depth), 1.0])[:3])
            virtual_owner.append(index)
    return owner, np.array(virtual).reshape(-1, 3), np.array(virtual_owner, dtype=np.int64)


def six_cameras(name):
    """list[CameraImage]: A ring of cameras at the LiDAR."""
    intrinsic = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])
    images = []
    for number in range(6):
        angle = number * np.pi / 3
        pose = np.eye(4)
        pose[:3, :3] = [[np.sin(angle), -np.cos(angle), 0], [0, 0, -1], [np.cos(angle), np.sin(angle), 0]]
        channel = f'CAM_{number}'
        images.append(CameraImage(channel, f'samples/{channel}/{name}.jpg', WIDTH, HEIGHT, intrinsic, pose, {}))
    return images


def discs(count, rng):
    """Yield class, score and mask of random discs."""
    rows, cols = np.mgrid[:HEIGHT, :WIDTH]
    for _ in range(count):
        centre, radius = rng.uniform((0, 350), (WIDTH, 650)), rng.uniform(15, 120)
        yield 'car', float(rng.uniform(0.3, 1)), np.hypot(cols - centre[0], rows - centre[1]) < radius


def write_sweep(root, name, args, rng):
    """Write LiDAR and mask files of a random sweep; returns the LidarSweep."""
    sweep = LidarSweep(f'samples/LIDAR_TOP/{name}.pcd.bin', {}, six_cameras(name))
    angle = rng.uniform(-np.pi, np.pi, args.points)
    tilt = np.radians(rng.choice(np.linspace(-30, 10, 32), args.points))
    distance = rng.uniform(3, 60, args.points)
    xyz = (
        np.stack([np.cos(angle) * np.cos(tilt), np.sin(angle) * np.cos(tilt), np.sin(tilt)], axis=1) * distance[:, None]
    )
    points = np.column_stack([xyz, np.zeros((args.points, 2))]).astype(np.float32)
    (root / sweep.path).parent.mkdir(parents=True, exist_ok=True)
    points.tofile(root / sweep.path)
    per_image = np.bincount(rng.integers(6, size=args.instances), minlength=6)
    for image, count in zip(sweep.images, per_image):
        path = root / 'masks' / coco_mask_path(image.path)
        write_image_masks(path, image.path, (HEIGHT, WIDTH), discs(count, rng))
    return sweep


def timed(function, *args):
    """Result of a call and its processor time in s."""
    start = time.process_time()
    result = function(*args)
    return result, time.process_time() - start


def lift_all(lift, sweep, root, reader, settings):
    """Run ``lift`` on every image of a sweep; returns the results and the processor time of that alone."""
    xyz = read_lidar(root / sweep.path)[:, :3].astype(np.float64)
    results, seconds = [], 0.0
    for image in sweep.images:
        instances = reader.parse(reader.raw(image), image).instances
        result, spent = timed(lift, xyz, image, instances, settings.num_points, np.random.default_rng(0))
        results.append(result)
        seconds += spent
    return results, seconds


def create(sweep, root, reader, settings):
    """Everything create_virtual_points.py does for a sweep."""
    inputs = gather_inputs(sweep, root, reader)
    write_virtual_file(virtual_path(root / sweep.path), make_virtual_points(inputs, reader, settings, Tally()))


def measure(args):
    """Print the rates; AssertionError when both ways do not give the same points."""
    settings, rng = VirtualPointSettings(num_points=args.num_points), np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        sweeps = [write_sweep(root, f'sweep{number}', args, rng) for number in range(args.sweeps)]
        reader = CocoMaskReader(root / 'masks')
        create(sweeps[0], root, reader, settings)
        whole = sum(timed(create, sweep, root, reader, settings)[1] for sweep in sweeps) / len(sweeps)
        fast = sum(lift_all(lift_instances, sweep, root, reader, settings)[1] for sweep in sweeps) / len(sweeps)
        size = sum(virtual_path(root / sweep.path).stat().st_size for sweep in sweeps) / len(sweeps)
        slow = 0.0
        for sweep in sweeps[: args.brute_sweeps]:
            brute, seconds = lift_all(lift_pixel_by_pixel, sweep, root, reader, settings)
            slow += seconds / args.brute_sweeps
            for one, (owner, xyz, virtual_owner) in zip(
                lift_all(lift_instances, sweep, root, reader, settings)[0], brute
            ):
                np.testing.assert_array_equal(one.owner, owner)
                np.testing.assert_array_equal(one.virtual_owner, virtual_owner)
                np.testing.assert_allclose(one.virtual_xyz, xyz, atol=1e-6)
    print(
        f'{args.points} points, 6 images of {WIDTH}x{HEIGHT}, {args.instances} instances, {args.num_points} points each'
    )
    print(f'whole creation (files, mask decoding, compression): {whole * 1e3:8.1f} ms, {1 / whole:8.2f} sweeps/s/core')
    print(f'lifting alone, this code:                           {fast * 1e3:8.1f} ms, {1 / fast:8.2f} sweeps/s/core')
    if args.brute_sweeps:
        print(
            f'lifting alone, pixel by pixel, same points:         {slow * 1e3:8.1f} ms, {1 / slow:8.2f} sweeps/s/core'
        )
        print(f'ratio: {slow / fast:.0f}')
    print(f'{size / 1e3:.0f} kB a file')
