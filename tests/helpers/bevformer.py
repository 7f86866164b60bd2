"""BEVFormer at toy size, and queues of frames for it."""

import numpy as np
import torch

from helpers.batch import TOY_RANGE, make_batch
from helpers.toy_models import toy_head_cfg
from mmdet3d_plugin.synthetic.random_batch import camera_to_lidar, planar_motion

CAMERAS = ('CAM_FRONT', 'CAM_BACK')
EGO_AXES = np.array([[0.0, 1, 0, 0.9], [-1, 0, 0, 0], [0, 0, 1, 1.8], [0, 0, 0, 1]])  # LiDAR (right, forward) -> ego


def toy_encoder_cfg(**overrides):
    """BEVFormerEncoder config: 16 x 16 cells, 16 channels, 2 layers, 2 levels, 2 cameras."""
    cfg = dict(
        type='BEVFormerEncoder',
        point_cloud_range=TOY_RANGE,
        bev_size=(16, 16),
        embed_dims=16,
        num_layers=2,
        num_heads=2,
        num_levels=2,
        num_cams=2,
        feedforward_channels=24,
        pillar_points=2,
        temporal_points=2,
        spatial_points=4,
    )
    return {**cfg, **overrides}


def toy_bevformer_cfg(encoder=None, **overrides):
    """BEVFormer config with a CenterPoint head.

    Args:
        encoder: entries that replace those of :func:`toy_encoder_cfg`.
        overrides: replace top-level entries.
    """
    encoder = toy_encoder_cfg(**(encoder or {}))
    head = toy_head_cfg(encoder['embed_dims'])
    cfg = dict(
        type='BEVFormer',
        img_backbone=dict(type='ResNet', depth=18, base_channels=8, out_indices=(2, 3), norm_eval=False),
        img_neck=dict(type='FPN', in_channels=[32, 64], out_channels=16, num_outs=2),
        bev_encoder=encoder,
        cameras=CAMERAS,
        train_cfg=dict(pts=head.pop('train_cfg')),
        test_cfg=dict(pts=head.pop('test_cfg')),
        pts_bbox_head=head,
    )
    return {**cfg, **overrides}


def make_queue(batch_size=2, num_frames=3, image_size=(32, 64), augment=True, seed=0):
    """Batch of queues that turn to the left, each sample and frame with cameras of its own; metas with poses.

    Frame f of sample b stands at ``batch['ego2global'][b][f]``, half a second after frame f + 1; ``can_bus`` is made
    from these poses. Every frame but the last has a predecessor.
    """
    batch = make_batch(batch_size, 1, len(CAMERAS), image_size, augment=augment, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    frames = (batch_size, num_frames)
    batch['img'] = torch.randn(*frames, len(CAMERAS), 3, *image_size, generator=generator)
    for key in ('intrins', 'post_rots', 'post_trans'):
        batch[key] = batch[key].expand(*frames, *batch[key].shape[2:]).clone()
    turns = 0.2 * torch.rand(*frames, len(CAMERAS), generator=generator)
    mounts = torch.stack([planar_motion(yaw=float(turn)) for turn in turns.flatten()]).view(*turns.shape, 4, 4)
    batch['cam2lidar'] = mounts @ camera_to_lidar(len(CAMERAS))
    poses = [_drive(num_frames, 0.1 + 0.05 * sample, 3.1 - 0.1 * sample) for sample in range(batch_size)]
    batch['can_bus'] = torch.stack([_can_bus(drive) for drive in poses])
    batch['frame2cur'] = torch.stack([_frame2cur(*pair) for pair in zip(poses, batch['bev_aug'])])
    batch['has_prev'] = torch.ones(frames)
    batch['has_prev'][:, -1] = 0
    for meta, drive in zip(batch['img_metas'], poses):
        meta.update(ego2global=drive[0], lidar2ego=EGO_AXES)
    batch['ego2global'] = poses
    return batch


def split_queue(batch, sample):
    """The frames of one sample, oldest first, as batches of one sample and one frame, as at test."""
    frames = []
    for frame in reversed(range(batch['img'].shape[1])):
        keys = ('img', 'intrins', 'post_rots', 'post_trans', 'cam2lidar', 'can_bus')
        single = {key: batch[key][sample : sample + 1, frame : frame + 1] for key in keys}
        single['bev_aug'] = batch['bev_aug'][sample : sample + 1]
        meta = dict(batch['img_metas'][sample], sample_idx=f'frame{frame}', timestamp=100.0 - 0.5 * frame)
        meta['ego2global'] = batch['ego2global'][sample][frame]
        frames.append(dict(single, img_metas=[meta]))
    return frames


def one_sample(batch, sample):
    """The sample as a batch of its own."""
    return {key: value[sample : sample + 1] for key, value in batch.items()}


def _drive(num_frames, turn, heading):
    """(4, 4) ego poses, newest first: 2 m and ``turn`` radians a frame; across north and across half a turn."""
    poses, place = [], np.array([300.0, 500.0, 0.0])
    for _ in range(num_frames):
        pose = planar_motion(yaw=heading).double().numpy()
        pose[:3, 3] = place
        poses.insert(0, pose)
        place = place + 2 * np.array([np.cos(heading), np.sin(heading), 0])
        heading += turn
    return poses


def _can_bus(poses):
    """(F, 18) float32 with translation and change of yaw since the frame before, all other numbers made up."""
    rows = torch.full((len(poses), 18), 0.3)
    for frame, pose in enumerate(poses):
        before = poses[frame + 1] if frame + 1 < len(poses) else pose
        yaws = [np.arctan2(p[1, 0], p[0, 0]) for p in (before, pose)]
        change = np.angle(np.exp(1j * (yaws[1] - yaws[0])), deg=True)
        rows[frame, :3] = torch.from_numpy(pose[:3, 3] - before[:3, 3])
        rows[frame, 16], rows[frame, 17] = yaws[1] % (2 * np.pi), change
    return rows


def _frame2cur(poses, bev_aug):
    """(F, 4, 4) float32, augmented."""
    aug, current = bev_aug.double().numpy(), np.linalg.inv(poses[0] @ EGO_AXES)
    moves = [aug @ current @ pose @ EGO_AXES @ np.linalg.inv(aug) for pose in poses]
    return torch.from_numpy(np.stack(moves)).float()
