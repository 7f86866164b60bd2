"""DynamicPillarEncoder against a slow loop and against mmdet3d's hard-voxel PillarFeatureNet."""

import pytest
import torch
from mmcv.ops import Voxelization
from mmdet3d.models.builder import VOXEL_ENCODERS
from mmdet3d.models.voxel_encoders import DynamicPillarFeatureNet, PillarFeatureNet

from mmdet3d_plugin.models.voxel_encoders import DynamicPillarEncoder
from mmdet3d_plugin.ops.scatter import group_points

VOXEL = [0.5, 0.25, 8.0]
RANGE = [-1.0, -0.5, -5.0, 1.0, 0.5, 3.0]  # 4 pillars along x, 4 along y


def build(**kwargs):
    args = dict(in_channels=5, feat_channels=[6], voxel_size=VOXEL, point_cloud_range=RANGE)
    return VOXEL_ENCODERS.build(dict(type='DynamicPillarEncoder', **{**args, **kwargs}))


def random_points(num=40, samples=2):
    low, high = torch.tensor(RANGE[:3]), torch.tensor(RANGE[3:])
    points = torch.cat([low + (high - low) * torch.rand(num, 3), torch.rand(num, 2)], dim=1)
    col = ((points[:, 0] - low[0]) / VOXEL[0]).floor()
    row = ((points[:, 1] - low[1]) / VOXEL[1]).floor()
    sample = torch.arange(num) * samples // num
    return points, torch.stack([sample, torch.zeros(num), row, col], dim=1).int()


def slow_pillars(encoder, points, coors):
    """Point by point; for one layer in evaluation mode. Returns {(sample, z, y, x): feature}."""
    groups = {}
    for point, coor in zip(points, coors.tolist()):
        groups.setdefault(tuple(coor), []).append(point)
    linear, norm, _ = encoder.pfn_layers[0]
    pillars = {}
    for (sample, z, row, col), members in groups.items():
        mean = sum(member[:3] for member in members) / len(members)
        centre = [RANGE[0] + (col + 0.5) * VOXEL[0], RANGE[1] + (row + 0.5) * VOXEL[1], RANGE[2] + (z + 0.5) * VOXEL[2]]
        rows = []
        for member in members:
            offset = member[:3] - torch.tensor(centre)
            decorated = torch.cat([member, member[:3] - mean, offset[: encoder.center_dims]])
            scaled = (linear.weight @ decorated - norm.running_mean) / torch.sqrt(norm.running_var + norm.eps)
            rows.append(torch.relu(scaled * norm.weight + norm.bias))
        stack = torch.stack(rows)
        pillars[(sample, z, row, col)] = stack.amax(0) if encoder.mode == 'max' else stack.mean(0)
    return pillars


def randomise_norm(encoder):
    for module in encoder.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            torch.nn.init.normal_(module.weight)
            torch.nn.init.normal_(module.bias)


@pytest.mark.parametrize('mode', ['max', 'avg'])
@pytest.mark.parametrize('center_dims', [2, 3])
def test_equals_slow_loop(center_dims, mode):
    encoder = build(center_dims=center_dims, mode=mode).eval()
    randomise_norm(encoder)
    points, coors = random_points()
    features, pillar_coors = encoder(points, coors)
    expected = slow_pillars(encoder, points, coors)
    assert len(expected) == len(features) and pillar_coors.dtype == coors.dtype
    for feature, coor in zip(features, pillar_coors.tolist()):
        torch.testing.assert_close(feature, expected[tuple(coor)], rtol=1e-4, atol=1e-5)


def test_gradients_reach_points_and_weights():
    encoder = build().double()
    points, coors = random_points(num=8)
    points = points.double().requires_grad_()
    weight = encoder.pfn_layers[0][0].weight
    assert torch.autograd.gradcheck(lambda x, w: encoder(x, coors)[0], (points, weight))


def full_voxels(num_pillars=6, per_pillar=5):
    """Points in shuffled order, each occupied pillar holding exactly ``per_pillar`` of them."""
    cells = torch.randperm(16)[:num_pillars]
    rows, cols = cells // 4, cells % 4
    corner = torch.stack([RANGE[0] + cols * VOXEL[0], RANGE[1] + rows * VOXEL[1]], dim=1).float()
    inside = 0.05 + 0.9 * torch.rand(num_pillars, per_pillar, 2)
    xy = corner[:, None] + inside * torch.tensor(VOXEL[:2])
    points = torch.cat([xy, torch.rand(num_pillars, per_pillar, 3) - 1], dim=2).flatten(0, 1)
    return points[torch.randperm(len(points))]


def hard_encoder(points, per_pillar, encoder):
    """mmdet3d's encoder and its input for the same points and weights as ``encoder`` (which has center_dims 3)."""
    layer = Voxelization(voxel_size=VOXEL, point_cloud_range=RANGE, max_num_points=per_pillar, max_voxels=100)
    voxels, coors, counts = layer(points)
    reference = PillarFeatureNet(
        in_channels=5, feat_channels=(6,), voxel_size=VOXEL, point_cloud_range=RANGE, legacy=False
    )
    reference.pfn_layers[0].linear.weight.data = encoder.pfn_layers[0][0].weight.data.clone()
    reference.pfn_layers[0].norm.load_state_dict(encoder.pfn_layers[0][1].state_dict())
    coors = torch.nn.functional.pad(coors, (1, 0))
    return reference, voxels, counts, coors


def compare(features, coors, reference, reference_coors):
    rows = {tuple(coor): feature for coor, feature in zip(reference_coors.tolist(), reference)}
    assert len(rows) == len(features)
    for feature, coor in zip(features, coors.tolist()):
        torch.testing.assert_close(feature, rows[tuple(coor)], rtol=1e-4, atol=1e-5)


def dynamic_coors(points):
    layer = Voxelization(voxel_size=VOXEL, point_cloud_range=RANGE, max_num_points=-1, max_voxels=-1)
    return torch.nn.functional.pad(layer(points), (1, 0))


def test_equals_hard_voxels_in_training():
    """With every slot of every pillar filled, batch statistics agree too."""
    points, encoder = full_voxels(), build(center_dims=3)
    reference, voxels, counts, hard_coors = hard_encoder(points, 5, encoder)
    features, coors = encoder(points, dynamic_coors(points))
    compare(features, coors, reference(voxels, counts, hard_coors), hard_coors)
    torch.testing.assert_close(encoder.pfn_layers[0][1].running_var, reference.pfn_layers[0].norm.running_var)


def test_equals_hard_voxels_with_empty_slots():
    """Empty slots enter mmdet3d's maximum as relu(BN(0)): equal as long as that is 0."""
    points, _ = random_points(num=30, samples=1)
    encoder = build(center_dims=3).eval()
    norm = encoder.pfn_layers[0][1]
    norm.running_mean.uniform_(0, 1)
    torch.nn.init.constant_(norm.bias, -0.1)
    reference, voxels, counts, hard_coors = hard_encoder(points, 20, encoder)
    assert counts.max() < 20
    features, coors = encoder(points, dynamic_coors(points))
    compare(features, coors, reference.eval()(voxels, counts, hard_coors), hard_coors)


def test_two_layers_see_the_pillar():
    encoder = build(feat_channels=[6, 4]).eval()
    randomise_norm(encoder)
    points, coors = random_points()
    features, pillar_coors = encoder(points, coors)
    first = build().eval()
    first.pfn_layers[0].load_state_dict(encoder.pfn_layers[0].state_dict())
    slow = slow_pillars(first, points, coors)
    target = tuple(pillar_coors[3].tolist())
    members = [i for i, coor in enumerate(coors.tolist()) if tuple(coor) == target]
    rows = []
    for i in members:
        own = slow_pillars_point(first, points, coors, i)
        rows.append(encoder.pfn_layers[1](torch.cat([own, slow[target]])[None])[0])
    torch.testing.assert_close(features[3], torch.stack(rows).amax(0), rtol=1e-4, atol=1e-5)


def slow_pillars_point(encoder, points, coors, index):
    """First-layer feature of one point: what its pillar would give if the maximum ran over that point alone."""
    same = (coors == coors[index]).all(dim=1)
    mean = points[same, :3].mean(0)
    centre = torch.tensor(
        [RANGE[0] + (coors[index, 3] + 0.5) * VOXEL[0], RANGE[1] + (coors[index, 2] + 0.5) * VOXEL[1]]
    )
    decorated = torch.cat([points[index], points[index, :3] - mean, points[index, :2] - centre])
    return encoder.pfn_layers[0](decorated[None])[0]


@pytest.mark.parametrize('feat_channels', [[64], [32, 64]])
def test_parameters_are_those_of_mmdet3d(feat_channels):
    args = dict(in_channels=5, feat_channels=feat_channels, voxel_size=VOXEL, point_cloud_range=RANGE)
    mine = DynamicPillarEncoder(**args, center_dims=3).state_dict()
    theirs = DynamicPillarFeatureNet(**args).state_dict()
    assert {name: value.shape for name, value in mine.items()} == {name: value.shape for name, value in theirs.items()}


def test_input_width_of_the_method():
    assert build(feat_channels=[64]).pfn_layers[0][0].weight.shape == (64, 10)


def test_no_points():
    encoder = build().eval()
    features, coors = encoder(torch.zeros(0, 5), torch.zeros(0, 4, dtype=torch.int32))
    assert features.shape == (0, 6) and coors.shape == (0, 4)


def test_input_is_left_as_it_is():
    points, coors = random_points()
    kept = points.clone()
    build()(points, coors)
    assert torch.equal(points, kept)


def test_bad_arguments_are_named():
    points, coors = random_points()
    with pytest.raises(ValueError, match='in_channels=5'):
        build()(points[:, :4], coors)
    with pytest.raises(ValueError, match='center_dims'):
        DynamicPillarEncoder(5, [6], VOXEL, RANGE, center_dims=1)
    with pytest.raises(ValueError, match='median'):
        DynamicPillarEncoder(5, [6], VOXEL, RANGE, mode='median')


def test_input_scale_multiplies_the_decorated_values():
    """As the unscaled encoder whose first weights are multiplied instead, in value and gradient."""
    scale = [0.1, 0.2, 1.0, 0.01, 5.0, 3.0, 2.0, 1.0, 4.0, 0.5]
    torch.manual_seed(0)
    plain, scaled = build().eval(), build(input_scale=scale).eval()
    weight = torch.randn(6, 10)
    scaled.pfn_layers[0][0].weight.data.copy_(weight)
    plain.pfn_layers[0][0].weight.data.copy_(weight * torch.tensor(scale))
    points, coors = random_points()
    want, got = plain(points, coors)[0], scaled(points, coors)[0]
    assert want.abs().max() > 0.1
    torch.testing.assert_close(got, want)
    want.sum().backward()
    got.sum().backward()
    got_grad = scaled.pfn_layers[0][0].weight.grad
    torch.testing.assert_close(got_grad, plain.pfn_layers[0][0].weight.grad * torch.tensor(scale))


def test_input_scale_has_one_factor_a_value():
    with pytest.raises(ValueError, match='input_scale has 3 factors for 10 values'):
        build(input_scale=[1.0, 1.0, 1.0])


def test_age_limits_reduce_each_group_of_points_on_its_own():
    """Each block of channels is what the encoder gives for that group's points, offsets to the mean of all included."""
    encoder = build(age_limits=[0.2, 0.6]).eval()
    randomise_norm(encoder)
    points, coors = random_points()
    got, got_coors = encoder(points, coors)
    points_of_all = build().eval()
    points_of_all.load_state_dict(encoder.state_dict())
    layer, groups = encoder.pfn_layers[0], group_points(coors)
    features = layer(points_of_all._decorate(points, coors, groups))
    assert got.shape == (len(groups), 18) and torch.equal(got_coors, groups.coors)
    for block, (low, high) in enumerate([(-1.0, 0.2), (0.2, 0.6), (0.6, 9.0)]):
        for pillar in range(len(groups)):
            own = (groups.index == pillar) & (points[:, 4] > low) & (points[:, 4] <= high)
            want = features[own].amax(0) if own.any() else torch.zeros(6)
            torch.testing.assert_close(got[pillar, 6 * block : 6 * block + 6], want)
    whole = points_of_all(points, coors)[0]
    torch.testing.assert_close(got.reshape(-1, 3, 6).amax(1), whole)  # ReLU leaves nothing below the zeros of no point


@pytest.mark.parametrize('wrong', [dict(age_limits=[0.5, 0.1]), dict(age_limits=[0.1], mode='avg')])
def test_wrong_age_limits_are_named(wrong):
    with pytest.raises(ValueError, match='age_limits=.*rising ages'):
        build(**wrong)
