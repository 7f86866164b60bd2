"""mmcv's kernels behind the interface of sparse convolution, against plain torch on the CPU."""

import pytest
import torch
from helpers.sparse_voxels import SHAPE, STRIDED, random_voxels

from mmdet3d_plugin.ops.backend import ENVIRONMENT_VARIABLE
from mmdet3d_plugin.ops.sparse_conv import SparseConv3d, SparseTensor, SubMConv3d

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device')]
LAYERS = dict(submanifold=lambda: SubMConv3d(3, 5, 3), **{
    name: lambda words=words: SparseConv3d(3, 5, *words) for name, words in STRIDED.items()
})  # fmt: skip


def _run(layer, features, coords, batch, device):
    layer = layer.to(device)
    features = features.to(device).requires_grad_()
    out = layer(SparseTensor.of(features, coords.to(device), SHAPE, batch)).dense()
    torch.manual_seed(5)
    grads = torch.autograd.grad((out * torch.randn(out.shape).to(device)).sum(), (features, *layer.parameters()))
    return [tensor.detach().cpu() for tensor in (out, *grads)]


@pytest.mark.parametrize('counts', [(40, 25), (30, 0), (1,), (0, 0), (630,)], ids=str)
@pytest.mark.parametrize('name', LAYERS)
def test_equals_plain_torch_on_the_cpu(name, counts, monkeypatch):
    torch.manual_seed(1)
    layer, coords = LAYERS[name](), random_voxels(counts)
    features = torch.randn(len(coords), 3)
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, 'reference')
    expected = _run(layer, features, coords, len(counts), 'cpu')
    plain = _run(layer, features, coords, len(counts), 'cuda')
    monkeypatch.delenv(ENVIRONMENT_VARIABLE)
    for got in (plain, _run(layer, features, coords, len(counts), 'cuda')):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)
