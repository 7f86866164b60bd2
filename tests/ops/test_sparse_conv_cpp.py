"""The compiled sparse convolution against plain torch on larger inputs, its determinism and torch's own checks."""

import pytest
import torch
from helpers.sparse_voxels import SHAPE, STRIDED, random_voxels

from mmdet3d_plugin.ops.backend import ENVIRONMENT_VARIABLE
from mmdet3d_plugin.ops.sparse_conv import ConvWindow, SparseTensor, reference

pytestmark = pytest.mark.usefixtures('cpp_operators')
WINDOWS = dict(
    submanifold=(ConvWindow.submanifold(3), True), **{k: (ConvWindow.of(*v), False) for k, v in STRIDED.items()}
)


def _large(channels=16, shape=(11, 60, 70)):
    coords = random_voxels((9000, 0, 8000), shape)
    return SparseTensor.of(torch.randn(len(coords), channels), coords, shape, 3)


def _geometry(sites, window):
    return (sites.grid, window.kernel, window.stride, window.padding, window.dilation)


def _gradients(op, features, weight, *pairs):
    features, weight = features.clone().requires_grad_(), weight.clone().requires_grad_()
    out = op(features, weight, *pairs)
    torch.manual_seed(2)
    return (out.detach(), *torch.autograd.grad(out, (features, weight), torch.randn(out.shape).to(out.dtype)))


@pytest.mark.parametrize('window, submanifold', WINDOWS.values(), ids=WINDOWS)
def test_pairs_equal_the_references(window, submanifold):
    sites = _large().sites
    ops, geometry = torch.ops.dualdistill, _geometry(sites, window)
    outputs = sites.coords
    if not submanifold:
        outputs = ops.sparse_conv_outputs(sites.coords, *geometry)
        assert torch.equal(outputs, reference.sparse_conv_outputs(sites.coords, *geometry))
    ours = ops.sparse_conv_pairs(sites.coords, outputs, *geometry)
    for got, right in zip(ours, reference.sparse_conv_pairs(sites.coords, outputs, *geometry)):
        assert got.dtype == right.dtype and torch.equal(got, right)


@pytest.mark.parametrize('channels', [(1, 1), (5, 16), (16, 16), (7, 33), (64, 24)])
@pytest.mark.parametrize('name', ['submanifold', 'k3_s2_p1'])
def test_equals_the_reference(name, channels):
    torch.manual_seed(0)
    x, (window, submanifold) = _large(channels[0]), WINDOWS[name]
    rulebook = x.sites.rulebook(window, submanifold)
    pairs = (rulebook.sources, rulebook.targets, rulebook.starts, rulebook.rows)
    weight = torch.randn(27, *channels)
    ours = _gradients(torch.ops.dualdistill.sparse_conv, x.features, weight, *pairs)
    expected = _gradients(reference.sparse_conv, x.features.double(), weight.double(), *pairs)
    for got, right in zip(ours, expected):
        assert got.dtype == torch.float32 and got.is_contiguous()
        torch.testing.assert_close(got.double(), right, rtol=1e-5, atol=1e-5 * right.abs().max().item())


def test_any_number_of_threads_agrees_bit_for_bit(monkeypatch):
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, 'cpp')
    x, weight = _large(), torch.randn(27, 16, 40)
    threads, results = torch.get_num_threads(), []
    try:
        for count in (1, 2, 3, 2, 1):
            torch.set_num_threads(count)
            fresh = SparseTensor.of(x.features, x.sites.coords, x.sites.spatial_shape, 3)
            rulebook = fresh.sites.rulebook(ConvWindow.of(3, 2, 1), False)
            pairs = (rulebook.sources, rulebook.targets, rulebook.starts)
            made = _gradients(torch.ops.dualdistill.sparse_conv, x.features, weight, *pairs, rulebook.rows)
            results.append((rulebook.outputs.coords, *pairs, *made))
    finally:
        torch.set_num_threads(threads)
    for again in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], again))


def test_inputs_and_gradients_in_any_memory_layout():
    x = _large(8)
    rulebook = x.sites.rulebook(ConvWindow.submanifold(3), True)
    pairs = (rulebook.sources, rulebook.targets, rulebook.starts, rulebook.rows)
    weight = torch.randn(27, 8, 8)
    expected = _gradients(torch.ops.dualdistill.sparse_conv, x.features, weight, *pairs)
    strided = x.features.t().contiguous().t(), weight.transpose(1, 2).contiguous().transpose(1, 2)
    assert not any(tensor.is_contiguous() for tensor in strided)
    for got, right in zip(_gradients(torch.ops.dualdistill.sparse_conv, *strided, *pairs), expected):
        assert torch.equal(got, right)
    features = x.features.clone().requires_grad_()
    torch.ops.dualdistill.sparse_conv(features, weight, *pairs).sum().backward()  # an expanded gradient
    assert features.grad.abs().sum() > 0


def test_wrong_tables_are_refused():
    x = _large(4)
    sites = x.sites
    rulebook = sites.rulebook(ConvWindow.submanifold(3), True)
    sources, targets, starts = rulebook.sources, rulebook.targets, rulebook.starts
    ops, weight = torch.ops.dualdistill, torch.randn(27, 4, 4)
    with pytest.raises(RuntimeError, match='27 kernel offsets do not fit weight'):
        ops.sparse_conv(x.features, weight[:9], sources, targets, starts, len(sites))
    with pytest.raises(RuntimeError, match='take the lists from VoxelSites.rulebook'):
        ops.sparse_conv(x.features, weight, sources, targets.long(), starts, len(sites))
    with pytest.raises(RuntimeError, match='starts must rise from 0 to the number of pairs'):
        ops.sparse_conv(x.features, weight, sources[1:], targets[1:], starts, len(sites))
    geometry = _geometry(sites, ConvWindow.submanifold(3))
    with pytest.raises(RuntimeError, match='row 1 of coords is out of order: SparseTensor.of sorts voxels'):
        ops.sparse_conv_pairs(sites.coords.flip(0), sites.coords.flip(0), *geometry)


def test_operators_pass_torchs_own_checks():
    coords = random_voxels((30, 20))
    x = SparseTensor.of(torch.randn(50, 4, requires_grad=True), coords, SHAPE, 2)
    rulebook = x.sites.rulebook(ConvWindow.of(3, 2, 1), False)
    pairs = (rulebook.sources, rulebook.targets, rulebook.starts)
    weight = torch.randn(27, 4, 6, requires_grad=True)
    features = x.features.detach().requires_grad_()
    ops, geometry = torch.ops.dualdistill, [list(v) for v in _geometry(x.sites, ConvWindow.of(3, 2, 1))]
    torch.library.opcheck(ops.sparse_conv.default, (features, weight, *pairs, rulebook.rows))
    grad = torch.randn(rulebook.rows, 6, requires_grad=True)
    torch.library.opcheck(ops.sparse_conv_weight_grad.default, (features, grad, *pairs))
    torch.library.opcheck(ops.sparse_conv_outputs.default, (x.sites.coords, *geometry))
    torch.library.opcheck(ops.sparse_conv_pairs.default, (x.sites.coords, rulebook.outputs.coords, *geometry))


def test_compile_and_export_see_whole_graphs():
    """Where the rulebook is known, as inside a stage."""
    x = _large(4)
    rulebook = x.sites.rulebook(ConvWindow.submanifold(3), True)
    pairs = (rulebook.sources, rulebook.targets, rulebook.starts)
    weight = torch.randn(27, 4, 4, requires_grad=True)

    class Stage(torch.nn.Module):
        def forward(self, features, weight, sources, targets, starts):
            out = torch.ops.dualdistill.sparse_conv(features, weight, sources, targets, starts, features.shape[0])
            return out.relu()

    arguments = (x.features, weight, *pairs)
    expected = Stage()(*arguments)
    compiled = torch.compile(Stage(), backend='aot_eager', fullgraph=True)(*arguments)
    assert torch.equal(compiled, expected)
    ours, right = (torch.autograd.grad(out.square().sum(), weight) for out in (compiled, expected))
    torch.testing.assert_close(ours, right)
    exported = torch.export.export(Stage(), tuple(tensor.detach() for tensor in arguments))
    assert torch.equal(exported.module()(*arguments), expected)
    assert 'dualdistill.sparse_conv.default' in {str(node.target) for node in exported.graph.nodes}
