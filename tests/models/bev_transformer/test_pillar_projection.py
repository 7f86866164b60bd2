import torch
from helpers.devkit_infos import sample_info
from helpers.nuscenes_batch import load_tables

from mmdet3d_plugin.models.bev_transformer.pillar_projection import find_visible, frame_projection, pillar_points
from mmdet3d_plugin.models.detectors.bevformer import BEVFORMER_CAMERAS
from mmdet3d_plugin.structures import BEVGrid
from mmdet3d_plugin.synthetic.random_batch import planar_motion

WIDTH, HEIGHT = 100, 60
FORWARD = torch.tensor([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])  # image axes -> LiDAR, looking to y


def _batch(cam2lidar=FORWARD, bev_aug=None):
    """One sample and frame; focal length 50 px, principal point (50, 30)."""
    intrins = torch.tensor([[50.0, 0, 50], [0, 50, 30], [0, 0, 1]])
    return dict(
        intrins=intrins[None, None, None],
        post_rots=torch.eye(3)[None, None, None],
        post_trans=torch.zeros(1, 1, 1, 3),
        cam2lidar=cam2lidar[None, None, None],
        bev_aug=(torch.eye(4) if bev_aug is None else bev_aug)[None],
    )


def _see(points, batch, size=(HEIGHT, WIDTH)):
    """Visible pairs of cells with one pillar point each."""
    return find_visible(torch.tensor(points).double().unsqueeze(1), frame_projection(batch, 0), size)


def test_pillars_stand_half_a_metre_inside_the_range():
    grid = BEVGrid(-51.2, -51.2, 51.2, 51.2, 4, 2)
    points = pillar_points(grid, (-5.0, 3.0), 4)
    assert points.shape == (8, 4, 3) and points.dtype == torch.float64
    torch.testing.assert_close(points[3, :, 2].float(), torch.tensor([-4.5, -2.1666667, 0.1666667, 2.5]))
    torch.testing.assert_close(points[3, 0, :2], torch.tensor([25.6, -12.8]).double(), atol=1e-6, rtol=0)


def test_a_known_pixel():
    """10 m ahead, 2 m to the right, 1 m up: u = 50 + 50 * 0.2, v = 30 - 50 * 0.1."""
    pairs = _see([[2.0, 10, 1]], _batch())
    torch.testing.assert_close(pairs.points, torch.tensor([[[60 / WIDTH, 25 / HEIGHT]]]))
    assert pairs.points.dtype == torch.float32


def test_padding_is_part_of_the_image():
    pairs = _see([[2.0, 10, 1]], _batch(), size=(HEIGHT + 4, WIDTH + 28))
    torch.testing.assert_close(pairs.points, torch.tensor([[[60 / 128, 25 / 64]]]))


def test_borders_are_outside_and_so_is_what_lies_behind():
    left, right, top = [-10.0, 10, 0], [10.0, 10, 0], [0.0, 10, 6]  # u = 0, u = 100, v = 0
    inside, behind, beside = [9.99, 10, 0], [0.0, -10, 0], [1.0, 0, 0]
    pairs = _see([left, inside, right, top, behind, beside], _batch())
    assert pairs.cell.tolist() == [1]
    assert _see([left, behind], _batch()).points.shape == (0, 1, 2)


def test_the_image_augmentation_moves_the_pixel():
    batch = _batch()
    batch['post_rots'] = torch.diag(torch.tensor([0.5, 0.5, 1]))[None, None, None]
    batch['post_trans'] = torch.tensor([3.0, -4, 0])[None, None, None]
    expected = torch.tensor([[[(60 * 0.5 + 3) / WIDTH, (25 * 0.5 - 4) / HEIGHT]]])
    torch.testing.assert_close(_see([[2.0, 10, 1]], batch).points, expected)


def test_the_bev_augmentation_moves_the_map_and_not_the_pixel():
    aug = planar_motion(yaw=0.4, scale=1.05, flip_x=True)
    moved = (aug[:3, :3] @ torch.tensor([2.0, 10, 1])).tolist()
    torch.testing.assert_close(
        _see([moved], _batch(bev_aug=aug)).points, _see([[2.0, 10, 1]], _batch()).points, atol=1e-6, rtol=1e-5
    )


def test_pairs_are_packed_over_samples_and_cameras():
    """Two cameras that both see what stands ahead and left; sample 1 has them swapped."""
    left = planar_motion(yaw=1.0) @ FORWARD
    ahead, corner, right = [0.0, 9, 0], [-5.0, 8, 0], [9.0, 0, 0]
    projections = [frame_projection(_batch(pose), 0)[0, 0] for pose in (FORWARD, left)]
    projection = torch.stack([torch.stack(projections), torch.stack(projections[::-1])])
    points = torch.tensor([ahead, corner, right]).double()
    low = points - torch.tensor([0, 0, 50.0])  # a second pillar point, out of sight
    pairs = find_visible(torch.stack([points, low], dim=1), projection, (HEIGHT, WIDTH))
    assert pairs.image.tolist() == [0, 0, 1, 2, 3, 3]
    assert pairs.cell.tolist() == [0, 1, 1, 4, 3, 4]
    assert pairs.points.shape == (6, 2, 2) and (pairs.points[:, 1, 1] > 1).all()
    assert pairs.share.flatten().tolist() == [1, 0.5, 1, 1, 0.5, 1]


def test_a_real_rig_sees_what_it_should(real_root):
    """The published count of a nuScenes car at 200 x 200 cells: 6,200 to 9,500 cells a camera, 45,000 in all."""
    nusc = load_tables(real_root)
    info, _ = sample_info(nusc, nusc.sample[0], max_sweeps=0, exists=lambda name: True, cameras=BEVFORMER_CAMERAS)
    cameras = [info['cams'][name] for name in BEVFORMER_CAMERAS]
    poses = torch.eye(4, dtype=torch.float64).repeat(6, 1, 1)
    for pose, camera in zip(poses, cameras):
        pose[:3, :3] = torch.as_tensor(camera['sensor2lidar_rotation'])
        pose[:3, 3] = torch.as_tensor(camera['sensor2lidar_translation'])
    batch = dict(
        intrins=torch.stack([torch.as_tensor(camera['cam_intrinsic']) for camera in cameras])[None, None],
        post_rots=torch.eye(3).expand(1, 1, 6, 3, 3),
        post_trans=torch.zeros(1, 1, 6, 3),
        cam2lidar=poses[None, None],
        bev_aug=torch.eye(4)[None],
    )
    pillars = pillar_points(BEVGrid(-51.2, -51.2, 51.2, 51.2, 200, 200), (-5.0, 3.0), 4)
    pairs = find_visible(pillars, frame_projection(batch, 0), (928, 1600))
    seen = torch.bincount(pairs.image, minlength=6)
    assert seen.min() > 6100 and seen.max() < 9700 and 44000 < len(pairs.image) < 46000
    assert seen.argmax() == BEVFORMER_CAMERAS.index('CAM_BACK'), 'the one with the widest angle'
    cameras_of_cell = torch.bincount(pairs.cell, minlength=40000)
    assert 40 < (cameras_of_cell == 0).sum() < 110 and 0.12 < (cameras_of_cell == 2).float().mean() < 0.14
