"""A collated training batch made up without any file: cameras around the car, frames, boxes, points, depth.

Sensors, boxes and depths agree with each other, images are noise: enough to run, test and time a model of any size.
"""

import math

import torch
from mmdet3d.core.bbox import Box3DMode, LiDARInstance3DBoxes

from .random_motion import motion_of_frames

ORIGINAL_SIZE = (900, 1600)
FOCAL = 1000.0


def camera_to_lidar(num_cams):
    """(N, 4, 4) cameras 0.5 m out from the LiDAR's axis, 0.3 m below it, looking outwards all around."""
    poses = torch.eye(4).repeat(num_cams, 1, 1)
    for index, yaw in enumerate(torch.arange(num_cams) * (2 * math.pi / num_cams)):
        cos, sin = float(yaw.cos()), float(yaw.sin())
        poses[index, :3, 0] = torch.tensor([sin, -cos, 0.0])
        poses[index, :3, 1] = torch.tensor([0.0, 0.0, -1.0])
        poses[index, :3, 2] = torch.tensor([cos, sin, 0.0])
        poses[index, :3, 3] = torch.tensor([0.5 * cos, 0.5 * sin, -0.3])
    return poses


def planar_motion(yaw=0.0, shift=(0.0, 0.0, 0.0), scale=1.0, flip_x=False, flip_y=False):
    """(4, 4) rotation about z (radians), then scale, flips (x -> -x, y -> -y) and a shift (m)."""
    matrix = torch.eye(4)
    cos, sin = math.cos(yaw), math.sin(yaw)
    matrix[:2, :2] = torch.tensor([[cos, -sin], [sin, cos]])
    matrix[:3, :3] *= scale
    flips = torch.diag(torch.tensor([-1.0 if flip_x else 1.0, -1.0 if flip_y else 1.0, 1.0]))
    matrix[:3, :3] = flips @ matrix[:3, :3]
    matrix[:3, 3] = torch.tensor(shift)
    return matrix


def image_augmentation(image_size, augment):
    """(post_rot (3, 3), post_tran (3,)): the original image resized to the width, bottom kept, slightly turned."""
    height, width = image_size
    scale = width / ORIGINAL_SIZE[1] * (1 + (0.1 * (torch.rand(1).item() - 0.5) if augment else 0.0))
    angle = 0.1 * (torch.rand(1).item() - 0.5) if augment else 0.0
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    post_rot, post_tran = torch.eye(3), torch.zeros(3)
    post_rot[:2, :2] = turn * scale
    centre = torch.tensor([width / 2, height - scale * ORIGINAL_SIZE[0] / 2])
    post_tran[:2] = centre - post_rot[:2, :2] @ torch.tensor([ORIGINAL_SIZE[1] / 2, ORIGINAL_SIZE[0] / 2])
    return post_rot, post_tran


def project(points, intrins, post_rot, post_tran, cam2bev):
    """Points (M, 3) of the augmented BEV frame -> augmented pixels (M, 2) and depths (M,), metres."""
    in_camera = (torch.linalg.inv(cam2bev) @ torch.cat([points, torch.ones(len(points), 1)], dim=1).T).T[:, :3]
    pixels = in_camera @ intrins.T
    pixels = torch.cat([pixels[:, :2] / pixels[:, 2:], torch.ones(len(points), 1)], dim=1)
    return (pixels @ post_rot.T + post_tran)[:, :2], in_camera[:, 2]


def depth_map(points, intrins, post_rot, post_tran, cam2bev, image_size, stride):
    """(h, w) nearest depth of the points per feature cell, metres, 0 = none."""
    rows, cols = image_size[0] // stride, image_size[1] // stride
    pixels, depth = project(points, intrins, post_rot, post_tran, cam2bev)
    cells = torch.floor((pixels + 0.5) / stride)
    seen = (depth > 0.5) & (cells >= 0).all(1) & (cells[:, 0] < cols) & (cells[:, 1] < rows)
    flat = (cells[seen, 1] * cols + cells[seen, 0]).long()
    nearest = torch.full((rows * cols,), float('inf')).scatter_reduce(0, flat, depth[seen], reduce='amin')
    return torch.where(nearest.isinf(), torch.zeros_like(nearest), nearest).view(rows, cols)


def random_boxes(count, extent):
    """LiDARInstance3DBoxes (count, 9) and labels (count,), standing on the ground 1.8 m below the LiDAR.

    Their centres are within 90 % of ``extent`` metres along x and y.
    """
    boxes = torch.zeros(count, 9)
    boxes[:, :2] = (torch.rand(count, 2) - 0.5) * 1.8 * extent
    boxes[:, 2] = -1.8
    boxes[:, 3:6] = torch.tensor([4.0, 1.9, 1.6]) * (0.5 + torch.rand(count, 3))
    boxes[:, 6] = (torch.rand(count) - 0.5) * 2 * math.pi
    boxes[:, 7:] = torch.randn(count, 2) * 3
    return LiDARInstance3DBoxes(boxes, box_dim=9), torch.randint(0, 10, (count,))


def _points(boxes, extent, count, dims):
    """(M, dims) x, y, z and further values in [0, 1): half on the ground, half inside the boxes."""
    ground = torch.rand(count // 2, dims)
    ground[:, :2] = (ground[:, :2] - 0.5) * 2 * extent
    ground[:, 2] = -1.8
    if not len(boxes):
        return ground
    owners = torch.randint(0, len(boxes), (count // 2,))
    on_boxes = torch.rand(count // 2, dims)
    local = (on_boxes[:, :3] - 0.5) * boxes.tensor[owners, 3:6]
    cos, sin = boxes.tensor[owners, 6].cos(), boxes.tensor[owners, 6].sin()
    centre = boxes.gravity_center[owners]
    on_boxes[:, 0] = centre[:, 0] + cos * local[:, 0] - sin * local[:, 1]
    on_boxes[:, 1] = centre[:, 1] + sin * local[:, 0] + cos * local[:, 1]
    on_boxes[:, 2] = centre[:, 2] + local[:, 2]
    return torch.cat([ground, on_boxes])


def _sample(index, num_frames, num_cams, image_size, stride, extent, num_boxes, num_points, point_dims, augment):
    sample = {}
    bev_aug = planar_motion(yaw=0.3, scale=1.03, flip_y=bool(index % 2)) if augment else torch.eye(4)
    intrins = torch.tensor([[FOCAL, 0, ORIGINAL_SIZE[1] / 2], [0, FOCAL, ORIGINAL_SIZE[0] / 2], [0, 0, 1]])
    affine = [[image_augmentation(image_size, augment) for _ in range(num_cams)]] * num_frames
    motion = planar_motion(yaw=0.05, shift=(-1.5, 0.1, 0.0))  # since the frame before
    motions = torch.stack([torch.linalg.matrix_power(motion, frame) for frame in range(num_frames)])
    moved, poses = motion_of_frames(motions, float(index))
    sample.update(moved)
    sample['img'] = torch.randn(num_frames, num_cams, 3, *image_size)
    sample['intrins'] = intrins.expand(num_frames, num_cams, 3, 3).clone()
    sample['post_rots'] = torch.stack([torch.stack([pair[0] for pair in frame]) for frame in affine])
    sample['post_trans'] = torch.stack([torch.stack([pair[1] for pair in frame]) for frame in affine])
    sample['cam2lidar'] = camera_to_lidar(num_cams).expand(num_frames, num_cams, 4, 4).clone()
    sample['frame2cur'] = bev_aug @ motions @ torch.linalg.inv(bev_aug)
    sample['bev_aug'] = bev_aug
    boxes, labels = random_boxes(num_boxes, extent)
    points = _points(boxes, extent, num_points, point_dims)
    cam2bev = bev_aug @ sample['cam2lidar'][0]
    cameras = zip(*(sample[key][0] for key in ('intrins', 'post_rots', 'post_trans')), cam2bev)
    sample['gt_depth'] = torch.stack([depth_map(points[:, :3], *camera, image_size, stride) for camera in cameras])
    meta = dict(
        sample_idx=f'sample{index}',
        scene_token='scene',
        timestamp=float(index),
        frame_dt=0.5,
        box_type_3d=LiDARInstance3DBoxes,
        box_mode_3d=Box3DMode.LIDAR,
        bev_aug=bev_aug.numpy(),
        **poses,
    )
    return sample, points, boxes, labels, meta


def make_batch(
    *,
    batch_size,
    num_frames,
    num_cams,
    image_size,
    stride,
    point_cloud_range,
    num_boxes,
    num_points,
    point_dims=5,
    augment=True,
    seed=0,
):
    """Collated batch, see the package's pipeline for the keys; the global random state is left as it was.

    Args:
        image_size: (H, W) of the augmented images, pixels; ``stride`` of the depth maps divides it.
        point_cloud_range: boxes and points fill its smaller horizontal half extent.
        num_boxes, num_points: per sample; a sequence gives one number of boxes per sample.
        point_dims: numbers per point.
        augment: image and BEV augmentation; else both are the plain resize and the identity.
    """
    counts = [num_boxes] * batch_size if isinstance(num_boxes, int) else list(num_boxes)
    extent = min(point_cloud_range[3], point_cloud_range[4])
    sizes = (num_frames, num_cams, image_size, stride, extent)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        samples, points, boxes, labels, metas = zip(
            *(_sample(i, *sizes, counts[i], num_points, point_dims, augment) for i in range(batch_size))
        )
    batch = {key: torch.stack([sample[key] for sample in samples]) for key in samples[0]}
    batch.update(points=list(points), gt_bboxes_3d=list(boxes), gt_labels_3d=list(labels), img_metas=list(metas))
    return batch
