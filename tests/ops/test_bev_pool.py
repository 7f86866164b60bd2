"""BEV pooling and its plan against the definition, with every back end that runs here."""

import itertools

import pytest
import torch

from mmdet3d_plugin.ops.bev_pool import BEVPoolPlan, bev_pool
from mmdet3d_plugin.ops.bev_pool.reference import bev_pool_reference
from mmdet3d_plugin.structures import BEVGrid

GRID = BEVGrid(x_min=-3.0, y_min=-2.0, x_max=3.0, y_max=2.0, height=4, width=3)
Z_RANGE = (-1.0, 1.0)
SHAPE = (2, 2, 3, 2, 4)

pytestmark = pytest.mark.usefixtures('ops_backend')


def _locations(spread=4.0, shape=SHAPE):
    locations = (torch.rand(*shape, 3) - 0.5) * 2 * spread
    locations[..., 2] /= 2
    return locations


def _inputs(channels=3, dtype=torch.float32, shape=SHAPE):
    batch, cams, depths, height, width = shape
    depth = torch.rand(batch, cams, depths, height, width, dtype=dtype)
    context = torch.randn(batch, cams, channels, height, width, dtype=dtype)
    return depth, context


def _slow_pool(depth, context, locations):
    """One point at a time, straight from the definition."""
    batch, channels = depth.shape[0], context.shape[2]
    out = torch.zeros(batch, channels, GRID.height, GRID.width, dtype=context.dtype)
    for b, n, d, i, j in itertools.product(*(range(size) for size in depth.shape)):
        x, y, z = locations[b, n, d, i, j].tolist()
        col, row = (x - GRID.x_min) // GRID.cell_x, (y - GRID.y_min) // GRID.cell_y
        if 0 <= col < GRID.width and 0 <= row < GRID.height and Z_RANGE[0] <= z < Z_RANGE[1]:
            out[b, :, int(row), int(col)] += depth[b, n, d, i, j] * context[b, n, :, i, j]
    return out


def test_equals_the_slow_loop():
    locations = _locations()
    depth, context = _inputs()
    plan = BEVPoolPlan.from_geometry(locations, GRID, Z_RANGE)
    assert 0 < len(plan.cells) < depth.numel()
    torch.testing.assert_close(bev_pool(depth, context, plan), _slow_pool(depth, context, locations))


def test_plan_is_sorted_and_consistent():
    plan = BEVPoolPlan.from_geometry(_locations(), GRID, Z_RANGE)
    kept = int((plan.point_cells >= 0).sum())
    assert 0 < kept == len(plan.cells) == plan.cell_starts[-1] and (plan.cells.diff() >= 0).all()
    assert torch.equal(plan.points.long().sort().values, torch.arange(plan.point_cells.numel()))
    cells = plan.point_cells.flatten()[plan.points.long()]
    assert torch.equal(cells[:kept].long(), plan.cells) and (cells[kept:] == -1).all()
    same_cell = cells.diff() == 0
    assert (plan.points.diff()[same_cell] > 0).all()  # by index within a cell, and among the dropped
    batch, cams, depths, height, width = SHAPE
    pixels = torch.arange(batch * cams * height * width).view(batch, cams, 1, height, width).expand(SHAPE)
    assert torch.equal(pixels.flatten()[plan.points.long()], plan.pixels.long())


@pytest.mark.parametrize('chunk', [1, 5, 10**6])
def test_chunks_change_nothing(chunk):
    plan = BEVPoolPlan.from_geometry(_locations(), GRID, Z_RANGE)
    depth, context = (tensor.requires_grad_() for tensor in _inputs(dtype=torch.float64))
    expected = bev_pool(depth, context, plan)
    expected_grads = torch.autograd.grad(expected.square().sum(), (depth, context))
    out = bev_pool_reference(depth, context, plan, chunk)
    grads = torch.autograd.grad(out.square().sum(), (depth, context))
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(grads, expected_grads)


def test_gradcheck():
    plan = BEVPoolPlan.from_geometry(_locations(), GRID, Z_RANGE)
    depth, context = (tensor.requires_grad_() for tensor in _inputs(channels=2, dtype=torch.float64))
    assert torch.autograd.gradcheck(lambda d, c: bev_pool(d, c, plan), (depth, context))


def test_no_point_inside_gives_zeros_and_zero_gradients():
    plan = BEVPoolPlan.from_geometry(torch.full((*SHAPE, 3), 100.0), GRID, Z_RANGE)
    depth, context = (tensor.requires_grad_() for tensor in _inputs())
    out = bev_pool(depth, context, plan)
    assert out.shape == (2, 3, 4, 3) and not out.any()
    out.sum().backward()
    assert not depth.grad.any() and not context.grad.any()


def test_all_points_in_one_cell():
    plan = BEVPoolPlan.from_geometry(torch.tensor([-2.5, 1.5, 0.0]).expand(*SHAPE, 3), GRID, Z_RANGE)
    depth, context = _inputs()
    out = bev_pool(depth, context, plan)
    total = torch.einsum('bndhw,bnchw->bc', depth, context)
    torch.testing.assert_close(out[:, :, 3, 0], total)
    assert torch.count_nonzero(out.abs().sum(1)) == 2


@pytest.mark.parametrize(
    'point, kept',
    [
        ((-3.0, -2.0, -1.0), True),
        ((3.0, 0.0, 0.0), False),
        ((0.0, 2.0, 0.0), False),
        ((0.0, 0.0, 1.0), False),
        ((-3.001, 0.0, 0.0), False),
        ((float('nan'), 0.0, 0.0), False),
        ((0.0, float('inf'), 0.0), False),
        ((1e30, 0.0, 0.0), False),
    ],
)
def test_borders_and_non_finite_points(point, kept):
    plan = BEVPoolPlan.from_geometry(torch.tensor(point).view(1, 1, 1, 1, 1, 3), GRID, Z_RANGE)
    assert len(plan.cells) == int(kept)
    if kept:
        assert plan.cells.tolist() == [0]


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_inputs_accumulate_in_fp32(dtype):
    shape = (1, 1, 64, 8, 8)
    plan = BEVPoolPlan.from_geometry(torch.zeros(*shape, 3), GRID, Z_RANGE)
    depth = torch.ones(shape, dtype=dtype).requires_grad_()
    context = torch.ones(1, 1, 1, 8, 8, dtype=dtype).requires_grad_()
    out = bev_pool(depth, context, plan)
    assert out.dtype == torch.float32
    assert out.max() == 64 * 64  # 4096 ones: adding them one by one in half precision stalls at 2048 or 256
    out.sum().backward()
    assert depth.grad.dtype == context.grad.dtype == dtype
    assert (context.grad == 64).all()


def test_wrong_shapes_name_both_sides():
    plan = BEVPoolPlan.from_geometry(_locations(), GRID, Z_RANGE)
    depth, context = _inputs()
    with pytest.raises(ValueError, match=r'depth_prob is \(2, 2, 2, 2, 4\).*\(2, 2, 3, 2, 4\)'):
        bev_pool(depth[:, :, :2], context, plan)
    with pytest.raises(ValueError, match=r'context is \(2, 1, 3, 2, 4\)'):
        bev_pool(depth, context[:, :1], plan)
    with pytest.raises(ValueError, match='floating point.*torch.int64'):
        bev_pool(depth, context.long(), plan)
    with pytest.raises(ValueError, match='plan on cpu: all three must share a device'):
        bev_pool(depth.to('meta'), context, plan)
    with pytest.raises(ValueError, match=r'\(B, N, D, h, w, 3\)'):
        BEVPoolPlan.from_geometry(torch.zeros(2, 3), GRID, Z_RANGE)
