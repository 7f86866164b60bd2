"""VirtualPillarEncoder: what the network sees of MVP's flag, and nothing else changed."""

import pytest
import torch
from helpers.toy_models import toy_centerpoint_cfg
from mmdet3d.models.builder import DETECTORS, VOXEL_ENCODERS

from mmdet3d_plugin.models.voxel_encoders import DynamicPillarEncoder

VOXEL = [0.5, 0.25, 8.0]
RANGE = [-1.0, -0.5, -5.0, 1.0, 0.5, 3.0]
ARGS = dict(in_channels=17, feat_channels=[6], voxel_size=VOXEL, point_cloud_range=RANGE)
FLAG = 15


def build(**kwargs):
    return VOXEL_ENCODERS.build(dict(type='VirtualPillarEncoder', **{**ARGS, **kwargs}))


def three_points():
    """A raw, a painted and a virtual point, the first two in one pillar: points (3, 17), coors (3, 4)."""
    points = torch.rand(3, 17)
    points[:, :3] = torch.tensor([[-0.9, -0.4, 0.0], [-0.7, -0.45, 1.0], [0.6, 0.1, -1.0]])
    points[:, FLAG] = torch.tensor([1.0, 0.0, -1.0])
    return points, torch.tensor([[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 2, 3]], dtype=torch.int32)


def test_the_first_layer_has_22_inputs():
    assert build(feat_channels=[64]).pfn_layers[0][0].weight.shape == (64, 22)


def test_raw_and_painted_points_get_0_and_virtual_ones_1():
    points, coors = three_points()
    encoder = build()
    seen = []
    encoder.pfn_layers[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    encoder(points, coors)
    assert seen[0].shape == (3, 22)
    assert seen[0][:, FLAG].tolist() == [0.0, 0.0, 1.0]
    others = [column for column in range(17) if column != FLAG]
    assert torch.equal(seen[0][:, others], points[:, others])
    mean = points[:2, :3].mean(0)
    torch.testing.assert_close(seen[0][0, 17:20], points[0, :3] - mean)
    torch.testing.assert_close(seen[0][2, 20:], points[2, :2] - torch.tensor([0.75, 0.125]))  # centre of its pillar


def test_equals_the_plain_encoder_on_points_with_the_flag_replaced():
    points, coors = three_points()
    virtual, plain = build(), DynamicPillarEncoder(**ARGS)
    plain.load_state_dict(virtual.state_dict())
    replaced = points.clone()
    replaced[:, FLAG] = torch.tensor([0.0, 0.0, 1.0])
    for train in (True, False):
        virtual.train(train), plain.train(train)
        assert torch.equal(virtual(points, coors)[0], plain(replaced, coors)[0])
    assert points[:, FLAG].tolist() == [1.0, 0.0, -1.0]  # the input is left as it was


def test_gradients_reach_every_column_but_the_flag():
    points, coors = three_points()
    points = points.double().requires_grad_()
    encoder = build().double()
    weight = encoder.pfn_layers[0][0].weight
    assert torch.autograd.gradcheck(
        lambda rest, w: encoder(with_flag(rest, points), coors)[0], (others(points), weight)
    )
    encoder(points, coors)[0].pow(2).sum().backward()
    assert (points.grad[:, FLAG] == 0).all() and (points.grad[:, 3:FLAG] != 0).any(dim=0).all()


def others(points):
    return torch.cat([points[:, :FLAG], points[:, FLAG + 1 :]], dim=1).detach().requires_grad_()


def with_flag(rest, points):
    """``rest`` with the flag column of ``points`` put back."""
    return torch.cat([rest[:, :FLAG], points[:, FLAG, None].detach(), rest[:, FLAG:]], dim=1)


def test_points_without_labels_are_refused():
    points, coors = three_points()
    with pytest.raises(ValueError, match='points have 5 values .* in_channels=17'):
        build()(points[:, :5], coors)


def test_detector_takes_painted_points_and_an_empty_cloud():
    cfg = toy_centerpoint_cfg()
    cfg['pts_voxel_encoder'].update(type='VirtualPillarEncoder', in_channels=17)
    model = DETECTORS.build(cfg).eval()
    points = torch.rand(50, 17)
    points[:, :2] = points[:, :2] * 20 - 10
    points[:, FLAG] = torch.randint(-1, 2, (50,)).float()
    bev = model.extract_bev(dict(points=[points, torch.zeros(0, 17)]))
    assert bev.head_map.shape[0] == 2 and torch.isfinite(bev.head_map).all()
    flipped = points.clone()
    flipped[:, FLAG] = -points[:, FLAG].abs()  # painted points turned nothing, raw ones virtual
    assert not torch.equal(model.extract_bev(dict(points=[flipped])).head_map[0], bev.head_map[0])
