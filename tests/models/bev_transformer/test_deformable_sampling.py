import pytest
import torch
from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch

from mmdet3d_plugin.models.bev_transformer import deformable_sampling
from mmdet3d_plugin.models.bev_transformer.deformable_sampling import sample_maps, sample_packed

SHAPES = [(3, 5), (2, 2), (1, 1)]
IMAGES, HEADS, DIMS, POINTS = 3, 2, 4, 3
TOKENS = sum(h * w for h, w in SHAPES)
VARIANTS = [deformable_sampling._sample_by_bags, deformable_sampling._sample_one_tall_image]


def _inputs(count=13, spread=0.8, dtype=torch.float64):
    """Places well inside, at the borders and far outside of the maps."""
    value = torch.randn(IMAGES, TOKENS, HEADS, DIMS, dtype=dtype)
    locations = 0.5 + spread * torch.randn(count, HEADS, len(SHAPES), POINTS, 2, dtype=dtype)
    weights = torch.randn(count, HEADS, len(SHAPES) * POINTS, dtype=dtype).softmax(-1)
    return value, locations, weights.view(count, HEADS, len(SHAPES), POINTS), torch.randint(0, IMAGES, (count,))


def _slowly(value, locations, weights, image):
    """One read at a time, from the definition."""
    out = torch.zeros(len(image), HEADS, DIMS, dtype=value.dtype)
    for k, head, level, point in torch.cartesian_prod(*map(torch.arange, weights.shape)).tolist():
        height, width = SHAPES[level]
        start = sum(h * w for h, w in SHAPES[:level])
        x, y = (locations[k, head, level, point] * torch.tensor([width, height]) - 0.5).tolist()
        for row in range(height):
            for column in range(width):
                share = max(0.0, 1 - abs(x - column)) * max(0.0, 1 - abs(y - row))
                cell = value[image[k], start + row * width + column, head]
                out[k, head] += weights[k, head, level, point] * share * cell
    return out.flatten(1)


@pytest.mark.parametrize('sample', VARIANTS)
def test_packed_reads_equal_the_definition(sample):
    value, locations, weights, image = _inputs()
    expected = _slowly(value, locations, weights, image)
    assert expected.abs().min() > 0
    torch.testing.assert_close(sample(value, SHAPES, locations, weights, image), expected)
    torch.testing.assert_close(sample_packed(value, SHAPES, locations, weights, image), expected)


@pytest.mark.parametrize('sample', VARIANTS)
def test_gradients_are_right(sample):
    value, locations, weights, image = _inputs(count=4)
    leaves = [tensor.requires_grad_() for tensor in (value, locations, weights)]
    assert torch.autograd.gradcheck(lambda v, x, w: sample(v, SHAPES, x, w, image), leaves)


def test_all_maps_alike_equals_mmcv():
    value, _, _, _ = _inputs()
    locations = torch.rand(IMAGES, 7, HEADS, len(SHAPES), POINTS, 2, dtype=torch.float64)
    weights = torch.rand(IMAGES, 7, HEADS, len(SHAPES), POINTS, dtype=torch.float64)
    expected = multi_scale_deformable_attn_pytorch(value, SHAPES, locations, weights)
    torch.testing.assert_close(sample_maps(value, SHAPES, locations, weights), expected)


@pytest.mark.parametrize('sample', VARIANTS)
def test_places_outside_of_an_image_read_nothing_of_its_neighbours(sample):
    value, locations, weights, image = _inputs()
    value.fill_(1.0)
    locations[..., 1] = torch.tensor([-0.6, 1.6, 9e7])
    assert sample(value, SHAPES, locations, weights, image).abs().max() < 1e-12


def test_no_query_at_all_leaves_zero_gradients():
    value, locations, weights, image = _inputs()
    leaves = [value.requires_grad_(), locations[:0].clone().requires_grad_(), weights[:0].clone().requires_grad_()]
    found = sample_packed(leaves[0], SHAPES, *leaves[1:], image[:0])
    assert found.shape == (0, HEADS * DIMS)
    found.sum().backward()
    assert all(leaf.grad is not None and not leaf.grad.any() for leaf in leaves)


def test_autocast_does_not_move_the_places():
    value, locations, weights, image = _inputs(dtype=torch.float32)
    expected = sample_packed(value.bfloat16().float(), SHAPES, locations, weights, image)
    with torch.autocast('cpu', torch.bfloat16):
        found = sample_packed(value.bfloat16(), SHAPES, locations, weights, image)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
def test_cuda_equals_the_cpu():
    inputs = _inputs(dtype=torch.float32)
    leaves = [[t.detach().to(device).requires_grad_() for t in inputs[:3]] for device in ('cpu', 'cuda')]
    results = []
    for value, locations, weights in leaves:
        found = sample_packed(value, SHAPES, locations, weights, inputs[3].to(value.device))
        results.append([found, *torch.autograd.grad(found.sin().sum(), (value, locations, weights))])
    for cpu, cuda in zip(*results):
        torch.testing.assert_close(cuda.cpu(), cpu, rtol=1e-3, atol=1e-4)
