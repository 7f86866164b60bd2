"""Dynamic scatter against a slow loop over points."""

import pytest
import torch

from mmdet3d_plugin.ops.scatter import dynamic_scatter, group_points, scatter_points

NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device')
DEVICES = ['cpu', pytest.param('cuda', marks=[pytest.mark.gpu, NO_GPU])]


def slow_scatter(features, coors, reduce):
    """Dictionary of lists, the plainest possible reference; voxels in lexicographic order."""
    cells = {}
    for feature, coor in zip(features, coors.tolist()):
        cells.setdefault(tuple(coor), []).append(feature)
    rows = []
    for key in sorted(cells):
        stack = torch.stack(cells[key])
        rows.append({'max': stack.max(0).values, 'mean': stack.mean(0), 'sum': stack.sum(0)}[reduce])
    return torch.stack(rows), torch.tensor(sorted(cells), dtype=coors.dtype)


def random_points(num=60, channels=5, dtype=torch.float64):
    features = torch.randn(num, channels, dtype=dtype)
    coors = torch.stack([torch.randint(0, high, (num,)) for high in (2, 1, 3, 4)], dim=1).int()
    return features, coors


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('reduce', ['max', 'mean', 'sum'])
def test_equals_slow_loop(reduce, device):
    features, coors = random_points()
    expected, expected_coors = slow_scatter(features, coors, reduce)
    out, out_coors = dynamic_scatter(features.to(device), coors.to(device), reduce)
    assert out_coors.dtype == coors.dtype
    assert torch.equal(out_coors.cpu(), expected_coors)
    torch.testing.assert_close(out.cpu(), expected)


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('reduce', ['max', 'mean', 'sum'])
def test_gradients(reduce, device):
    features, coors = random_points(num=12, channels=2)
    features = features.to(device).requires_grad_()
    groups = group_points(coors.to(device))
    assert torch.autograd.gradcheck(lambda x: scatter_points(x, groups, reduce), (features,))


def test_maximum_below_zero_is_kept():
    out, _ = dynamic_scatter(torch.tensor([[-3.0], [-2.0]]), torch.tensor([[0, 0], [0, 0]]), 'max')
    assert out.tolist() == [[-2.0]]


def test_tied_maximum_shares_the_gradient():
    features = torch.tensor([[1.0], [1.0], [0.0]], requires_grad=True)
    out, _ = dynamic_scatter(features, torch.zeros(3, 4, dtype=torch.int64), 'max')
    out.sum().backward()
    assert features.grad.flatten().tolist() == [0.5, 0.5, 0.0]


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('reduce', ['max', 'mean', 'sum'])
def test_repeats_exactly_in_float32(reduce, device):
    features, coors = random_points(num=5000, channels=8, dtype=torch.float32)
    first, _ = dynamic_scatter(features.to(device), coors.to(device), reduce)
    for _ in range(3):
        again, _ = dynamic_scatter(features.to(device), coors.to(device), reduce)
        assert torch.equal(first, again)


@pytest.mark.parametrize('reduce', ['max', 'mean', 'sum'])
def test_no_points(reduce):
    features = torch.zeros(0, 3, requires_grad=True)
    out, coors = dynamic_scatter(features, torch.zeros(0, 4, dtype=torch.int32), reduce)
    assert out.shape == (0, 3) and coors.shape == (0, 4) and coors.dtype == torch.int32
    out.sum().backward()
    assert features.grad.shape == (0, 3)


def test_index_points_back_to_voxels():
    _, coors = random_points()
    groups = group_points(coors)
    assert torch.equal(groups.coors[groups.index], coors)


def test_far_apart_coordinates():
    coors = torch.tensor([[0, 2**40], [3, 7], [0, 2**40]])
    groups = group_points(coors)
    assert groups.coors.tolist() == [[0, 2**40], [3, 7]]
    assert groups.index.tolist() == [0, 1, 0]


def test_bad_input_is_named():
    features, coors = random_points()
    with pytest.raises(ValueError, match='negative'):
        group_points(coors - 1)
    with pytest.raises(ValueError, match='integer'):
        group_points(features)
    with pytest.raises(ValueError, match='int64'):
        group_points(torch.full((1, 4), 2**31))
    with pytest.raises(ValueError, match="'median'"):
        dynamic_scatter(features, coors, 'median')
    with pytest.raises(ValueError, match='60 points'):
        scatter_points(features[:5], group_points(coors), 'max')
