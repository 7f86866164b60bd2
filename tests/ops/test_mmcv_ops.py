"""mmcv's operators that the detectors use, on the CPU and on a GPU, against plain loops and interpolation."""

import pytest
import torch
from mmcv.ops import Voxelization, box_iou_rotated, get_compiling_cuda_version, modulated_deform_conv2d, nms_rotated

NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device')
ON_GPU = [pytest.mark.gpu, NO_GPU]
DEVICES = ['cpu', pytest.param('cuda', marks=ON_GPU)]


@pytest.mark.gpu
@NO_GPU
def test_mmcv_is_compiled_for_the_toolkit_of_torch():
    assert get_compiling_cuda_version().split('.')[0] == torch.version.cuda.split('.')[0]


def slow_voxels(points, size, low, high, most):
    """{(z, y, x): its first ``most`` points}, one point after the other."""
    voxels = {}
    for point in points:
        if (point[:3] >= low).all() and (point[:3] < high).all():
            cell = ((point[:3] - low) / size).floor().int().tolist()
            voxels.setdefault(tuple(reversed(cell)), []).append(point)
    return {cell: torch.stack(inside[:most]) for cell, inside in voxels.items()}


@pytest.mark.parametrize('device', DEVICES)
def test_hard_voxels_hold_the_first_points_of_each_cell(device):
    points = (torch.rand(600, 5) - 0.5) * 10
    low, high, size = torch.full((3,), -4.0), torch.full((3,), 4.0), torch.full((3,), 2.0)
    expected = slow_voxels(points, size, low, high, 5)
    voxelize = Voxelization(size.tolist(), [*low.tolist(), *high.tolist()], 5, 100)
    voxels, coords, counts = (tensor.cpu() for tensor in voxelize(points.to(device)))
    assert {tuple(cell) for cell in coords.tolist()} == expected.keys() and len(coords) == len(expected)
    for voxel, cell, count in zip(voxels, coords.tolist(), counts):
        assert torch.equal(voxel[:count], expected[tuple(cell)])
        assert not voxel[count:].any()
    assert min(counts) < 5 == max(counts)


def slow_deformable_convolution(x, offset, mask, weight):
    """3x3, padding 1: each of the nine taps read by bilinear interpolation, zero outside."""
    batch, channels, height, width = x.shape
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing='ij')
    out = 0
    for tap in range(9):
        at_y = rows + tap // 3 - 1 + offset[:, 2 * tap]
        at_x = columns + tap % 3 - 1 + offset[:, 2 * tap + 1]
        grid = torch.stack([2 * at_x / (width - 1) - 1, 2 * at_y / (height - 1) - 1], dim=-1)
        read = torch.nn.functional.grid_sample(x, grid, align_corners=True) * mask[:, tap : tap + 1]
        out = out + torch.einsum('bchw,oc->bohw', read, weight[:, :, tap // 3, tap % 3])
    return out


@pytest.mark.parametrize(
    'device, dtype, tolerance',
    [
        ('cpu', torch.float32, 1e-4),
        pytest.param('cuda', torch.float32, 1e-4, marks=ON_GPU),
        # the kernel adds up places in half precision: some taps read across the border of a cell
        pytest.param('cuda', torch.float16, 1e-1, marks=ON_GPU),
    ],
)
def test_deformable_convolution_and_its_gradients(device, dtype, tolerance):
    shapes = [(2, 4, 6, 7), (2, 18, 6, 7), (2, 9, 6, 7), (8, 4, 3, 3)]
    inputs = [torch.randn(shape) for shape in shapes]
    inputs[1] = inputs[1] * 0.7 + 0.05
    inputs[2] = inputs[2].sigmoid()
    inputs = [tensor.to(dtype) for tensor in inputs]
    factors = torch.randn(2, 8, 6, 7)
    leaves = [tensor.double().requires_grad_() for tensor in inputs]
    expected = slow_deformable_convolution(*leaves)
    expected = [expected, *torch.autograd.grad((expected * factors).sum(), leaves)]
    leaves = [tensor.to(device).requires_grad_() for tensor in inputs]
    found = modulated_deform_conv2d(*leaves, None, 1, 1, 1, 1, 1)
    found = [found, *torch.autograd.grad((found * factors.to(found)).sum(), leaves)]
    for got, right in zip(found, expected):
        assert got.dtype == dtype
        assert (got.cpu().double() - right).norm() < tolerance * right.norm()


@pytest.mark.parametrize('device', DEVICES)
def test_rotated_suppression_keeps_what_a_greedy_loop_keeps(device):
    boxes = torch.rand(80, 5) * torch.tensor([12.0, 12.0, 3.0, 1.5, 3.0]) + torch.tensor([0.0, 0.0, 1.0, 0.5, 0.0])
    scores, overlaps = torch.rand(80), box_iou_rotated(boxes, boxes)
    assert (overlaps - 0.2).abs().min() > 1e-5  # no pair that rounding could decide
    kept = []
    for index in scores.argsort(descending=True).tolist():
        if all(overlaps[index, other] <= 0.2 for other in kept):
            kept.append(index)
    found, order = nms_rotated(boxes.to(device), scores.to(device), 0.2)
    assert order.tolist() == kept and 20 < len(kept) < 70
    torch.testing.assert_close(found[:, 5].cpu(), scores[kept])
