import pytest
import torch
from helpers.batch import make_batch

from mmdet3d_plugin.models.view_transforms.geometry import (
    CameraGeometry,
    build_frustum,
    locate_frustum,
    num_depth_bins,
)
from mmdet3d_plugin.synthetic.random_batch import project


def test_centre_frustum_sits_on_cell_and_bin_centres():
    uv1, depths = build_frustum((32, 64), 16, (1.0, 5.0, 2.0), 'center')
    assert uv1.shape == (2, 4, 3)
    assert uv1[0, :, 0].tolist() == [7.5, 23.5, 39.5, 55.5]
    assert uv1[:, 2, 1].tolist() == [7.5, 23.5]
    assert (uv1[..., 2] == 1).all()
    assert depths.tolist() == [2.0, 4.0]


def test_corner_frustum_spans_the_image_and_starts_bins():
    uv1, depths = build_frustum((32, 64), 16, (1.0, 5.0, 2.0), 'corner')
    assert uv1[0, :, 0].tolist() == [0.0, 21.0, 42.0, 63.0]
    assert uv1[:, 0, 1].tolist() == [0.0, 31.0]
    assert depths.tolist() == [1.0, 3.0]


def test_bad_frustum_settings_name_the_problem():
    with pytest.raises(ValueError, match='multiple of the feature stride 16'):
        build_frustum((30, 64), 16, (1.0, 5.0, 1.0), 'center')
    with pytest.raises(ValueError, match="'center' or 'corner', got 'middle'"):
        build_frustum((32, 64), 16, (1.0, 5.0, 1.0), 'middle')


def test_number_of_bins():
    assert num_depth_bins((1.0, 60.0, 1.0)) == 59
    assert num_depth_bins((0.0, 0.3, 0.1)) == 3


@pytest.mark.parametrize('bound', [(1.0, 60.0, 7.0), (5.0, 5.0, 1.0), (5.0, 1.0, 1.0), (1.0, 2.0, 0.0)])
def test_bins_must_be_whole(bound):
    with pytest.raises(ValueError, match='whole bins'):
        num_depth_bins(bound)


@pytest.mark.parametrize('frame', [0, 1])
def test_a_located_pixel_projects_back_onto_itself(frame):
    """Independent check: BEV points are sent through the forward camera model, image and BEV augmentation included."""
    batch = make_batch(num_cams=3)
    cameras = CameraGeometry.of_frame(batch, frame)
    uv1, depths = build_frustum((64, 176), 16, (1.0, 9.0, 2.0), 'center')
    points = locate_frustum(uv1, depths, cameras)
    assert points.shape == (2, 3, 4, 4, 11, 3) and points.dtype == torch.float32
    for b in range(2):
        for n in range(3):
            affine = (batch[key][b, frame, n] for key in ('intrins', 'post_rots', 'post_trans'))
            cam2bev = batch['bev_aug'][b] @ batch['cam2lidar'][b, frame, n]
            pixels, depth = project(points[b, n].reshape(-1, 3), *affine, cam2bev)
            expected_pixels = uv1[..., :2].float().expand(4, 4, 11, 2).reshape(-1, 2)
            torch.testing.assert_close(pixels, expected_pixels, atol=0.01, rtol=0)
            torch.testing.assert_close(depth, depths.float().repeat_interleave(44), atol=1e-4, rtol=0)


def test_mixed_precision_does_not_reach_the_geometry():
    cameras = CameraGeometry.of_frame(make_batch(num_cams=2), 0)
    frustum = build_frustum((64, 176), 16, (1.0, 60.0, 1.0), 'center')
    exact = locate_frustum(*frustum, cameras), cameras.flat_numbers()
    with torch.autocast('cpu', torch.bfloat16):
        located, numbers = locate_frustum(*frustum, cameras), cameras.flat_numbers()
    assert torch.equal(located, exact[0]) and torch.equal(numbers, exact[1])


def test_camera_numbers_hold_everything_but_the_bev_augmentation():
    plain, turned = make_batch(augment=False), make_batch(augment=True)
    numbers = CameraGeometry.of_frame(plain, 0).flat_numbers()
    assert numbers.shape == (2, 6, 33) and numbers.dtype == torch.float32
    expected = [
        plain['intrins'][1, 0, 4].flatten(),
        plain['post_rots'][1, 0, 4].flatten(),
        plain['post_trans'][1, 0, 4],
    ]
    expected += [plain['cam2lidar'][1, 0, 4, :3, :3].flatten(), plain['cam2lidar'][1, 0, 4, :3, 3]]
    assert torch.equal(numbers[1, 4], torch.cat(expected))
    assert torch.equal(CameraGeometry.of_frame(turned, 0).flat_numbers()[..., 21:], numbers[..., 21:])


def test_one_augmentation_places_the_cameras_of_every_frame():
    batch = make_batch(augment=True)
    batch['cam2lidar'][:, 1, :, :3, 3] += 0.4  # mounted elsewhere in the previous frame
    for frame in (0, 1):
        cam2bev = CameraGeometry.of_frame(batch, frame).cam2bev
        assert cam2bev.shape == (2, 6, 4, 4) and cam2bev.dtype == torch.float64
        for b, n in ((0, 0), (1, 5)):
            expected = batch['bev_aug'][b].double() @ batch['cam2lidar'][b, frame, n].double()
            torch.testing.assert_close(cam2bev[b, n], expected)
