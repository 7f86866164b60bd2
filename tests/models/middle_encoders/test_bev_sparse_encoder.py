"""BEVSparseEncoder against a dense emulation, mmdet3d's names, published sizes, batches that hold almost nothing."""

import pytest
import torch
from helpers.sparse_voxels import random_voxels, scatter_dense
from mmdet3d.models.builder import MIDDLE_ENCODERS
from torch import nn
from torch.nn import functional as F

from mmdet3d_plugin.models.middle_encoders.sparse_layers import SparseBasicBlock, SparseSequential
from mmdet3d_plugin.ops.sparse_conv import SparseConv3d, SubMConv3d

SHAPE = (23, 12, 16)
BLOCKS = pytest.mark.parametrize('block_type', ['basicblock', 'conv_module'])
STAGES = dict(
    basicblock=dict(encoder_channels=((4, 6), (6, 8), (8, 8)), encoder_paddings=((0, 1), (0, [0, 1, 1]), (0, 0))),
    conv_module=dict(encoder_channels=((4,), (6, 6), (8, 8)), encoder_paddings=((1,), (1, 1), ((0, 1, 1), 1))),
)
PUBLISHED = dict(
    sparse_shape=[41, 1600, 1600],
    encoder_channels=((16, 16, 32), (32, 32, 64), (64, 64, 128), (128, 128)),
    encoder_paddings=((0, 0, 1), (0, 0, 1), (0, 0, [0, 1, 1]), (0, 0)),
    block_type='basicblock',
)


def build(block_type, seed=0, **kwargs):
    torch.manual_seed(seed)
    cfg = dict(in_channels=3, sparse_shape=SHAPE, base_channels=4, output_channels=5, block_type=block_type)
    model = MIDDLE_ENCODERS.build(dict(type='BEVSparseEncoder', **cfg, **STAGES[block_type], **kwargs))
    for layer in model.modules():  # nothing is saturated, and no statistics are trivial
        if isinstance(layer, nn.BatchNorm1d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.uniform_(layer.bias, 0.1, 0.6)
            nn.init.uniform_(layer.running_mean, -0.3, 0.3)
            nn.init.uniform_(layer.running_var, 0.1, 0.5)
    return model


def dense_layer(layer, x, active):
    """A layer on (B, C, z, y, x) maps that are zero outside ``active`` (B, 1, z, y, x)."""
    if isinstance(layer, SparseSequential):
        for part in layer:
            x, active = dense_layer(part, x, active)
        return x, active
    if isinstance(layer, SparseBasicBlock):
        out, _ = dense_layer(layer.bn1, dense_layer(layer.conv1, x, active)[0], active)
        out, _ = dense_layer(layer.bn2, dense_layer(layer.conv2, out.relu(), active)[0], active)
        return (out + x).relu(), active
    if isinstance(layer, (SubMConv3d, SparseConv3d)):
        options = dict(stride=layer.window.stride, padding=layer.window.padding)
        if isinstance(layer, SparseConv3d):
            active = (F.conv3d(active, active.new_ones(1, 1, *layer.window.kernel), **options) > 0).to(x.dtype)
            x = F.conv3d(x, layer.weight.permute(4, 3, 0, 1, 2), **options)
        else:
            x = F.conv3d(x, layer.weight.permute(4, 3, 0, 1, 2), **options)
        return x * active, active
    rows = x.permute(0, 2, 3, 4, 1)[active[:, 0] > 0]
    out = torch.zeros_like(x).permute(0, 2, 3, 4, 1).index_put((active[:, 0] > 0).nonzero(as_tuple=True), layer(rows))
    return out.permute(0, 4, 1, 2, 3), active


@BLOCKS
@pytest.mark.parametrize('training', [False, True], ids=['eval', 'train'])
def test_equals_a_dense_emulation(block_type, training):
    model = build(block_type).double().train(training)
    other = build(block_type).double().train(training)
    other.load_state_dict(model.state_dict())
    coords = random_voxels((60, 90, 0), SHAPE)
    features = torch.randn(len(coords), 3, dtype=torch.float64, requires_grad=True)
    ours = model(features, coords, 3)
    x = scatter_dense(features, coords, SHAPE, 3)
    active = scatter_dense(torch.ones(len(coords), 1, dtype=torch.float64), coords, SHAPE, 3)
    for part in (other.conv_input, other.encoder_layers, other.conv_out):
        x, active = dense_layer(part, x, active)
    assert ours.shape == (3, model.bev_channels, *model.bev_size) and (ours[2] == 0).all()
    torch.testing.assert_close(ours, x.flatten(1, 2))
    weights = torch.randn_like(ours)
    got = torch.autograd.grad((ours * weights).sum(), (features, *model.parameters()))
    right = torch.autograd.grad((x.flatten(1, 2) * weights).sum(), (features, *other.parameters()))
    torch.testing.assert_close(got, right)
    torch.testing.assert_close(model.state_dict(), other.state_dict())  # running statistics


@BLOCKS
def test_names_and_shapes_are_mmdet3ds(block_type):
    cfg = dict(in_channels=3, sparse_shape=SHAPE, base_channels=4, output_channels=5, block_type=block_type)
    cfg.update(STAGES[block_type])
    ours = MIDDLE_ENCODERS.build(dict(type='BEVSparseEncoder', **cfg)).state_dict()
    theirs = MIDDLE_ENCODERS.build(dict(type='SparseEncoder', **cfg)).state_dict()
    assert [(name, value.shape) for name, value in ours.items()] == [
        (name, value.shape) for name, value in theirs.items()
    ]


def test_published_sizes():
    model = MIDDLE_ENCODERS.build(dict(type='BEVSparseEncoder', in_channels=5, **PUBLISHED))
    assert (model.bev_channels, model.bev_size) == (256, [200, 200])
    assert sum(isinstance(layer, (SubMConv3d, SparseConv3d)) for layer in model.modules()) == 21
    assert sum(parameter.numel() for parameter in model.parameters()) == 2_694_352


def test_channel_is_convolution_channel_times_two_plus_z():
    """A voxel that only the upper of two cells along z sees lights odd channels alone."""
    shape = (5, 3, 3)
    cfg = dict(in_channels=1, sparse_shape=shape, base_channels=2, output_channels=4)
    model = MIDDLE_ENCODERS.build(
        dict(type='BEVSparseEncoder', encoder_channels=((2,),), encoder_paddings=((1,),), **cfg)
    ).eval()
    for layer in (model.conv_input[0], model.encoder_layers[0][0][0], model.conv_out[0]):
        nn.init.constant_(layer.weight, 1.0)
    out = model(torch.ones(1, 1), torch.tensor([[0, 4, 1, 2]]), 1)[0]
    assert out.shape == (8, 3, 3)
    assert (out[1::2, 1, 2] > 0).all() and out[0::2].abs().sum() == 0
    assert (out[:, :, :].abs().sum(0) > 0).nonzero().tolist() == [[1, 2]]


@BLOCKS
@pytest.mark.parametrize('counts', [(0, 0), (1, 0), (0, 2)])
def test_batches_that_hold_almost_nothing_train(block_type, counts):
    model = build(block_type).train()
    coords = random_voxels(counts, SHAPE)
    before = {name: value.clone() for name, value in model.state_dict().items() if 'running' in name}
    out = model(torch.randn(len(coords), 3, requires_grad=True), coords, 2)
    assert out.shape == (2, model.bev_channels, *model.bev_size) and out.isfinite().all()
    out.sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())
    if not sum(counts):
        assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())


def test_each_sample_as_if_alone():
    model = build('basicblock').eval()
    coords = random_voxels((50, 0, 70), SHAPE)
    features = torch.randn(len(coords), 3)
    together = model(features, coords, 3)
    for sample in range(3):
        mine = coords[:, 0] == sample
        alone = model(features[mine], coords[mine] - torch.tensor([sample, 0, 0, 0], dtype=torch.int32), 1)
        torch.testing.assert_close(together[sample], alone[0])
    shuffled = torch.randperm(len(coords))
    assert torch.equal(model(features[shuffled], coords[shuffled], 3), together)


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(order=('act', 'norm', 'conv')), r"order is \('conv', 'norm', 'act'\)"),
        (dict(block_type='bottleneck'), "block_type is 'conv_module' or 'basicblock', got 'bottleneck'"),
        (dict(encoder_paddings=((0,), (0, 0))), 'encoder_paddings needs one entry for each of encoder_channels'),
        (dict(encoder_channels=((8, 6), (6, 8), (8, 8))), 'a residual block keeps its channels, .* asks for 4 -> 8'),
    ],
)
def test_wrong_arguments_are_refused(change, message):
    cfg = dict(in_channels=3, sparse_shape=SHAPE, base_channels=4, block_type='basicblock', **STAGES['basicblock'])
    with pytest.raises(ValueError, match=message):
        MIDDLE_ENCODERS.build(dict(type='BEVSparseEncoder', **{**cfg, **change}))
