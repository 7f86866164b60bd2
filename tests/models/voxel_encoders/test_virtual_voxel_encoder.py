"""Voxel encoders of LidarFormer and MVPFormer by hand: means, and MVP's 23 numbers."""

import pytest
import torch
from mmcv.ops import Voxelization
from mmdet3d.models.builder import VOXEL_ENCODERS

RAW, PAINTED, VIRTUAL = 1, 0, -1


def build(**kwargs):
    return VOXEL_ENCODERS.build(dict(type='VirtualVoxelEncoder', **kwargs))


def point(base, flag, dt):
    """x, y, z, reflectance and 11 labels count up from ``base``."""
    return [base + i for i in range(15)] + [flag, dt]


def encode(points, cells, **kwargs):
    coors = torch.tensor([[0, 0, 0, cell] for cell in cells])
    return build(**kwargs)(torch.tensor(points, dtype=torch.float32).view(-1, 17), coors)


def test_means_of_each_kind_by_hand():
    points = [
        point(10, RAW, 0.1),
        point(20, RAW, 0.3),
        point(100, PAINTED, 0.4),
        point(200, VIRTUAL, 0.6),
        point(300, VIRTUAL, 0.8),  # one voxel of both kinds
        point(40, RAW, 0.5),  # one of raw points alone
        point(400, PAINTED, 0.7),  # one without raw points
    ]
    features, coors = encode(points, [5, 5, 5, 5, 5, 2, 9])
    assert coors.tolist() == [[0, 0, 0, 2], [0, 0, 0, 5], [0, 0, 0, 9]]
    raw = [40, 41, 42, 43, 44, 0.5] + [0] * 17
    mixed = [15, 16, 17, 18, 19, 0.2] + [200 + i for i in range(15)] + [-2 / 3, 1 / 3]
    other = [0] * 6 + [400 + i for i in range(15)] + [0, 1]
    torch.testing.assert_close(features, torch.tensor([raw, mixed, other], dtype=torch.float32))


def test_equals_the_published_formula():
    """Mean over all points of a voxel, then each half divided by its kind's share where the voxel holds both."""
    torch.manual_seed(0)
    points = torch.randn(200, 17)
    points[:, 15] = torch.randint(-1, 2, (200,)).float()
    cells = torch.randint(0, 40, (200,))
    coors = torch.stack([cells * 0, cells * 0, cells * 0, cells], dim=1)
    features, found = build()(points, coors)
    for row, cell in enumerate(found[:, 3]):
        mine = points[cells == cell]
        wide = torch.zeros(len(mine), 23)
        raw = mine[:, 15] == RAW
        wide[raw, :6] = mine[raw][:, [0, 1, 2, 3, 4, 16]]
        wide[~raw, 6:21], wide[~raw, 21] = mine[~raw][:, :15], mine[~raw][:, 15]
        wide[~raw, 22] = (mine[~raw][:, 15] == PAINTED).float()
        mean, share = wide.mean(0), raw.float().mean()
        if 0 < share < 1:
            mean[:6], mean[6:] = mean[:6] / share, mean[6:] / (1 - share)
        torch.testing.assert_close(features[row], mean)


def test_time_of_virtual_points():
    points = [point(1, PAINTED, 0.25), point(1, VIRTUAL, 0.75)]
    assert encode(points, [0, 0])[0][0, 21] == -0.5
    assert encode(points, [0, 0], virtual_time='dt')[0][0, 21] == 0.5


def test_no_point_at_all():
    features, coors = build()(torch.zeros(0, 17), torch.zeros(0, 4, dtype=torch.int32))
    assert features.shape == (0, 23) and coors.shape == (0, 4)


def test_points_on_the_upper_edge_are_dropped():
    layer = Voxelization([0.5, 0.5, 0.5], [0, 0, 0, 2, 2, 1], max_num_points=-1, max_voxels=-1)
    points = torch.tensor([[0.0, 0, 0], [1.99, 1.99, 0.99], [2.0, 1, 0.5], [1, 2.0, 0.5], [1, 1, 1.0], [-0.01, 1, 0.5]])
    assert layer(points).tolist() == [[0, 0, 0], [1, 3, 3], [-1] * 3, [-1] * 3, [-1] * 3, [-1] * 3]


def test_mean_of_hard_voxels():
    encoder = VOXEL_ENCODERS.build(dict(type='HardSimpleVFE', num_features=5))
    points = torch.arange(30.0).view(2, 3, 5)
    points[0, 2] = points[1, 1:] = 0  # places without a point
    features = encoder(points, torch.tensor([2, 1], dtype=torch.int32), None)
    assert features.tolist() == [[2.5, 3.5, 4.5, 5.5, 6.5], [15, 16, 17, 18, 19]]
    assert encoder(points[:0], torch.zeros(0, dtype=torch.int32), None).shape == (0, 5)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="virtual_time is 'flag' or 'dt', got 'both'"):
        build(virtual_time='both')
    with pytest.raises(ValueError, match='takes points of 17 numbers, got 5'):
        build()(torch.zeros(1, 5), torch.zeros(1, 4, dtype=torch.int32))
