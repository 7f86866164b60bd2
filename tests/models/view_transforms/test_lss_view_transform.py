import math

import pytest
import torch
from helpers.batch import make_batch
from torch import nn

from mmdet3d_plugin.models.view_transforms import LSSViewTransform
from mmdet3d_plugin.models.view_transforms.geometry import CameraGeometry


def _build(**overrides):
    settings = dict(
        in_channels=6,
        out_channels=5,
        image_size=(64, 176),
        stride=16,
        xbound=(-12.8, 12.8, 0.8),
        ybound=(-9.6, 9.6, 0.8),
        zbound=(-10.0, 10.0),
        depth_bound=(1.0, 9.0, 1.0),
        depth_channels=8,
        depth_blocks=1,
    )
    return LSSViewTransform(**{**settings, **overrides})


def _cameras(batch, frame=0):
    return CameraGeometry.of_frame(batch, frame)


def test_sizes_come_from_the_settings():
    view = _build()
    assert view.level.shape == (5, 24, 32)
    bev, logits = view(torch.randn(2, 6, 6, 4, 11), _cameras(make_batch()))
    assert bev.shape == (2, 5, 24, 32) and logits.shape == (2, 6, 8, 4, 11)
    assert bev.abs().sum() > 0


def test_gradients_reach_every_parameter():
    view = _build()
    bev, logits = view(torch.randn(2, 6, 6, 4, 11), _cameras(make_batch()))
    (bev.square().sum() + logits.square().sum()).backward()
    # offsets start at zero, and a weight whose own input is zero gets gradients only from the second step on
    missing = [name for name, parameter in view.named_parameters() if parameter.grad is None]
    assert not missing
    assert view.featnet.weight.grad.any() and view.se.input_conv.weight.grad.any() and view.se.fc[1].weight.grad.any()


def test_bfloat16_autocast_with_a_deformable_convolution():
    view, feature, cameras = _build(), torch.randn(2, 6, 6, 4, 11), _cameras(make_batch())
    expected, expected_logits = view(feature, cameras)
    with torch.autocast('cpu', torch.bfloat16):
        bev, logits = view(feature, cameras)
    torch.testing.assert_close(logits.float(), expected_logits, rtol=0.05, atol=0.05)
    torch.testing.assert_close(bev, expected, rtol=0.05, atol=0.05 * expected.abs().max().item())
    bev.square().sum().backward()
    assert view.dcn[0].weight.grad.isfinite().all() and view.dcn[0].weight.grad.any()


def test_depth_net_parts_keep_their_released_names():
    tops = {name.split('.')[0] for name in _build().state_dict()}
    assert tops == {'se', 'extra_depthnet', 'dcn', 'depthnet', 'featnet'}


def _location(batch, sample, camera, uv, depth):
    """fp64, one point, step by step: undo image augmentation, unproject, move to the augmented BEV frame."""
    get = {key: batch[key][sample, 0, camera].double() for key in ('intrins', 'post_rots', 'post_trans', 'cam2lidar')}
    pixel = torch.linalg.solve(get['post_rots'], torch.tensor([*uv, 1.0]).double() - get['post_trans'])
    in_camera = torch.linalg.solve(get['intrins'], pixel) * depth
    in_lidar = get['cam2lidar'][:3, :3] @ in_camera + get['cam2lidar'][:3, 3]
    return batch['bev_aug'][sample, :3, :3].double() @ in_lidar + batch['bev_aug'][sample, :3, 3]


@pytest.mark.parametrize('anchor', ['center', 'corner'])
def test_a_frustum_point_lands_in_its_cell(anchor):
    """Image and BEV augmentation are on; only one point has depth probability at a time."""
    view, batch = _build(frustum_anchor=anchor), make_batch()
    landed = 0
    for sample, camera, d, row, col in [
        (0, 0, 1, 2, 5),
        (0, 3, 4, 1, 0),
        (1, 2, 2, 3, 10),
        (1, 5, 6, 0, 7),
        (0, 1, 7, 2, 2),
    ]:
        if anchor == 'center':
            uv, depth = (col * 16 + 7.5, row * 16 + 7.5), d + 1.5
        else:
            uv, depth = (col * 175 / 10, row * 63 / 3), d + 1.0
        x, y, z = _location(batch, sample, camera, uv, depth).tolist()
        cell = (math.floor((y + 9.6) / 0.8), math.floor((x + 12.8) / 0.8))
        depth_prob = torch.zeros(2, 6, 8, 4, 11)
        depth_prob[sample, camera, d, row, col] = 0.5
        context = torch.arange(1.0, 6.0).view(1, 1, 5, 1, 1).expand(2, 6, 5, 4, 11).contiguous()
        bev = view.splat(depth_prob, context, _cameras(batch))
        inside = 0 <= cell[0] < 24 and 0 <= cell[1] < 32 and -10 <= z < 10
        expected = torch.zeros_like(bev)
        if inside:
            landed += 1
            expected[sample, :, cell[0], cell[1]] = 0.5 * torch.arange(1.0, 6.0)
        torch.testing.assert_close(bev, expected)
    assert landed >= 3


def test_the_bev_augmentation_moves_the_whole_map():
    """A flip of the y axis about the map's own centre line mirrors the rows."""
    view, batch = _build().eval(), make_batch(augment=False)
    flip = torch.diag(torch.tensor([1.0, -1.0, 1.0, 1.0]))
    flipped = {**batch, 'bev_aug': flip @ batch['bev_aug']}
    feature = torch.randn(2, 6, 6, 4, 11)
    bev, logits = view(feature, _cameras(batch))
    mirrored, same_logits = view(feature, _cameras(flipped))
    torch.testing.assert_close(logits, same_logits)
    assert (mirrored - bev.flip(2)).abs().gt(1e-4).float().mean() < 0.01  # points on a cell border may change sides


def test_heights_outside_the_bound_are_dropped():
    view, batch = _build(zbound=(50.0, 60.0)), make_batch()
    bev, _ = view(torch.randn(2, 6, 6, 4, 11), _cameras(batch))
    assert not bev.any()


def test_depth_probabilities_sum_to_one_over_kept_depths():
    """With context 1 and every point inside, the map sums to the number of pixels."""
    view = _build(xbound=(-64.0, 64.0, 1.6), ybound=(-64.0, 64.0, 1.6), zbound=(-50.0, 50.0))
    nn.init.zeros_(view.featnet.weight)
    nn.init.ones_(view.featnet.bias)
    bev, _ = view(torch.randn(2, 6, 6, 4, 11), _cameras(make_batch()))
    torch.testing.assert_close(bev.sum((2, 3)), torch.full((2, 5), 6.0 * 4 * 11), rtol=1e-4, atol=0)


def test_the_camera_changes_the_depth():
    view, batch = _build(), make_batch()
    feature = torch.randn(2, 6, 6, 4, 11)
    _, logits = view(feature, _cameras(batch))
    zoomed = {**batch, 'intrins': batch['intrins'].clone()}
    zoomed['intrins'][:, :, 3:, :2] *= 2
    _, other = view(feature, _cameras(zoomed))
    assert (logits - other).abs().max() > 1e-3


def test_depth_loss_weight():
    view, doubled = _build(), _build(loss_depth_weight=200.0)
    logits, depth = torch.randn(1, 2, 8, 4, 11), torch.rand(1, 2, 4, 11) * 8
    torch.testing.assert_close(doubled.loss_depth(logits, depth), 2 * view.loss_depth(logits, depth))


def test_features_of_another_size_are_an_error():
    with pytest.raises(ValueError, match=r'\(6, 8, 22\).*\(6, 4, 11\).*stride'):
        _build()(torch.randn(1, 6, 6, 8, 22), _cameras(make_batch(batch_size=1)))


@pytest.mark.parametrize('name', ['xbound', 'ybound'])
def test_cells_must_be_whole(name):
    with pytest.raises(ValueError, match=f'{name}.*whole number of cells'):
        _build(**{name: (-1.0, 1.0, 0.3)})


def test_depth_bins_start_at_their_prior():
    view = _build()
    assert torch.allclose(view.depthnet.bias.sigmoid(), torch.full((8,), 1 / 8))
    view.init_weights()
    assert torch.allclose(view.depthnet.bias.sigmoid(), torch.full((8,), 1 / 8))
    assert _build(depth_bound=(1.0, 2.0, 1.0)).depthnet.bias.isfinite().all()
