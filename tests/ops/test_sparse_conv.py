"""Sparse convolution against dense convolution masked by the active cells; both back ends, values and gradients."""

import gc
import weakref

import pytest
import torch
from helpers.sparse_voxels import SHAPE, STRIDED, dense_convolution, random_voxels

from mmdet3d_plugin.ops.sparse_conv import ConvWindow, SparseConv3d, SparseTensor, SubMConv3d, VoxelSites

pytestmark = pytest.mark.usefixtures('ops_backend')

# voxels of each sample: usual, the last sample empty, the first empty, one voxel, none at all, a full grid
BATCHES = dict(usual=(40, 25), last_empty=(30, 0), first_empty=(0, 30), one=(1,), none=(0, 0), full=(630,))


def _layer(submanifold, name, channels=(3, 5), bias=False):
    torch.manual_seed(1)
    if submanifold:
        layer = SubMConv3d(*channels, name, bias=bias)
    else:
        layer = SparseConv3d(*channels, *STRIDED[name], bias=bias)
    return layer.double()


def _compare(layer, submanifold, counts):
    coords, batch = random_voxels(counts), len(counts)
    features = torch.randn(len(coords), layer.in_channels, dtype=torch.float64, requires_grad=True)
    out = layer(SparseTensor.of(features, coords, SHAPE, batch))
    dense = dense_convolution(features, coords, SHAPE, batch, layer, submanifold)
    assert out.sites.spatial_shape == tuple(dense.shape[2:])
    torch.testing.assert_close(out.dense(), dense)
    weights = torch.randn_like(dense)
    inputs = (features, *layer.parameters())
    ours = torch.autograd.grad((out.dense() * weights).sum(), inputs)
    expected = torch.autograd.grad((dense * weights).sum(), inputs)
    torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize('counts', BATCHES.values(), ids=BATCHES)
@pytest.mark.parametrize('name', STRIDED)
def test_strided_equals_dense(name, counts):
    _compare(_layer(False, name), False, counts)


@pytest.mark.parametrize('counts', BATCHES.values(), ids=BATCHES)
@pytest.mark.parametrize('kernel', [3, 1, (3, 1, 5)])
def test_submanifold_equals_dense(kernel, counts):
    _compare(_layer(True, kernel), True, counts)


def test_dilation_and_bias():
    layer = SubMConv3d(3, 5, 3, dilation=2, bias=True).double()
    _compare(layer, True, (60, 40))
    layer = SparseConv3d(3, 5, 3, padding=1, dilation=(1, 2, 2), bias=True).double()
    _compare(layer, False, (60, 40))


def test_outputs_are_all_cells_with_a_voxel_in_their_window():
    """By hand: one voxel at (2, 3, 4) under kernel 3, stride 2, padding 1 reaches z 1, y 1 and 2, x 2."""
    sites = VoxelSites(torch.tensor([[1, 2, 3, 4]], dtype=torch.int32), SHAPE, 2)
    outputs = sites.rulebook(ConvWindow.of(3, 2, 1), submanifold=False).outputs
    assert outputs.coords.tolist() == [[1, 1, 1, 2], [1, 1, 2, 2]]
    assert outputs.spatial_shape == (4, 5, 5) and outputs.batch_size == 2


@pytest.mark.parametrize('submanifold', [True, False])
def test_gradcheck(submanifold):
    coords = random_voxels((12, 0, 9), shape=(4, 5, 4))
    layer = _layer(submanifold, 3 if submanifold else 'k3_s2_p011', channels=(2, 3))
    sites = SparseTensor.of(torch.empty(len(coords), 0), coords, (4, 5, 4), 3).sites
    rulebook = sites.rulebook(layer.window, submanifold)
    features = torch.randn(len(coords), 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(rulebook.convolve, (features, layer.weight))
    assert torch.autograd.gradgradcheck(rulebook.convolve, (features, layer.weight), fast_mode=True)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32])
def test_precision_of_the_result(dtype):
    coords = random_voxels((50,))
    layer = _layer(True, 3).float()
    x = SparseTensor.of(torch.randn(50, 3).to(dtype), coords, SHAPE, 1)
    weight = layer.weight.to(dtype)
    out = x.sites.rulebook(layer.window, True).convolve(x.features, weight)
    exact = x.sites.rulebook(layer.window, True).convolve(x.features.double(), weight.double())
    assert out.dtype == dtype
    torch.testing.assert_close(out, exact.to(dtype))


def test_features_follow_their_voxels():
    """Rows come sorted, each with its own features."""
    coords = random_voxels((20, 0, 20))
    x = SparseTensor.of(coords.float(), coords, SHAPE, 3)
    assert torch.equal(x.features, x.sites.coords.float())
    assert x.sites.coords.tolist() == sorted(coords.tolist())
    dense = x.dense()
    assert dense.shape == (3, 4, *SHAPE) and (dense[1] == 0).all()
    for sample, z, y, col in coords.tolist():
        assert dense[sample, :, z, y, col].tolist() == [sample, z, y, col]


def test_convolutions_of_a_stage_share_their_rulebook():
    x = SparseTensor.of(torch.randn(30, 4), random_voxels((30,)), SHAPE, 1)
    first, second = SubMConv3d(4, 4, 3, indice_key='a'), SubMConv3d(4, 4, 3, indice_key='b')
    out = second(first(x))
    assert out.sites is x.sites
    window = first.window
    assert x.sites.rulebook(window, True) is x.sites.rulebook(second.window, True)
    down = SparseConv3d(4, 4, 3, padding=1, indice_key='a')(x)  # one window, another kind, one mmcv key
    assert down.sites is not x.sites and len(down.sites) > len(x.sites)


def test_rulebooks_go_with_their_voxels():
    """By reference counting alone: their memory does not wait for the garbage collector."""
    x = SparseTensor.of(torch.randn(30, 4), random_voxels((30,)), SHAPE, 1)
    gc.disable()
    try:
        down = SparseConv3d(4, 4, 3)(SubMConv3d(4, 4, 3)(x))
        voxels = [weakref.ref(x.sites), weakref.ref(down.sites)]
        del x, down
        assert [ref() for ref in voxels] == [None, None]
    finally:
        gc.enable()


@pytest.mark.parametrize(
    'coords, message',
    [
        ([[0, 1, 2, 3], [0, 0, 0, 0], [0, 1, 2, 3]], 'rows 1 and 2 of coords are the same voxel: merge them first'),
        ([[0, 0, 0, 0], [0, 1, 2, 10]], 'row 1 of coords lies outside the grid'),
        ([[0, 0, 0, 0], [1, 0, 0, 0]], 'row 1 of coords lies outside the grid'),
    ],
)
@pytest.mark.parametrize('layer', [SubMConv3d(1, 1, 3), SparseConv3d(1, 1, 3)])
def test_wrong_voxels_are_refused(layer, coords, message):
    coords = torch.tensor(coords, dtype=torch.int32)
    x = SparseTensor.of(torch.ones(len(coords), 1), coords, SHAPE, 1)
    with pytest.raises((ValueError, RuntimeError), match=message):
        layer(x)


def test_wrong_arguments_are_refused():
    x = SparseTensor.of(torch.ones(1, 2), torch.zeros(1, 4, dtype=torch.int32), SHAPE, 1)
    with pytest.raises(ValueError, match='voxels have 2 channels, the convolution takes 3'):
        SubMConv3d(3, 3, 3)(x)
    with pytest.raises(ValueError, match=r'needs odd kernel sizes, got \(2, 3, 3\)'):
        SubMConv3d(3, 3, (2, 3, 3))
    with pytest.raises(ValueError, match=r'a grid of \(7, 9, 10\) cells \(z, y, x\) is smaller than'):
        SparseConv3d(2, 2, 9)(x)
    with pytest.raises(ValueError, match=r'must be int32 \(V, 4\), got torch.float32 \(1, 3\)'):
        VoxelSites(torch.zeros(1, 3), SHAPE, 1)


def test_parameters_are_mmcvs():
    from mmcv.ops import SparseConv3d as MMCVSparseConv3d

    torch.manual_seed(0)
    ours = SparseConv3d(4, 6, (3, 1, 1), stride=(2, 1, 1))
    torch.manual_seed(0)
    theirs = MMCVSparseConv3d(4, 6, (3, 1, 1), stride=(2, 1, 1))
    assert ours.weight.shape == (3, 1, 1, 4, 6)
    for name, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value)
