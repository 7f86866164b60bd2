"""The compiled CPU operators against the plain torch back end, which runs in float64 here."""

import itertools

import pytest
import torch
from helpers.bev_pool import GEOMETRIES, GRID, SHAPE, Z_RANGE, pool_and_gradients, random_inputs, random_locations
from helpers.nuscenes_batch import RANGE, training_batch
from torch import nn

from mmdet3d_plugin.models.view_transforms.geometry import CameraGeometry, build_frustum, locate_frustum
from mmdet3d_plugin.ops.bev_pool import BEVPoolPlan, bev_pool
from mmdet3d_plugin.ops.bev_pool.operators import sort_points
from mmdet3d_plugin.ops.bev_pool.reference import bev_pool_reference
from mmdet3d_plugin.structures import BEVGrid

pytestmark = pytest.mark.usefixtures('cpp_operators')


def _assert_equals_reference(plan, channels, atol=1e-5):
    inputs = random_inputs(plan.frustum_shape, channels)
    ours = pool_and_gradients(bev_pool, *inputs, plan)
    expected = pool_and_gradients(bev_pool_reference, *(tensor.double() for tensor in inputs), plan)
    for got, right in zip(ours, expected):
        assert got.dtype == torch.float32 and got.is_contiguous() and got.shape == right.shape
        torch.testing.assert_close(got.double(), right, rtol=1e-5, atol=atol)


@pytest.mark.parametrize('channels', [0, 1, 7, 8, 40, 64, 100])
@pytest.mark.parametrize('name', GEOMETRIES)
def test_equals_the_reference(name, channels):
    _assert_equals_reference(BEVPoolPlan.from_geometry(GEOMETRIES[name](), GRID, Z_RANGE), channels)


def test_equals_the_reference_on_a_real_keyframe(real_root, tmp_path):
    batch = training_batch(real_root, tmp_path, indices=(0,), final_dim=(256, 704))
    grid = BEVGrid(RANGE[0], RANGE[1], RANGE[3], RANGE[4], 128, 128)
    cameras = CameraGeometry.of_frame(batch, 0)
    locations = locate_frustum(*build_frustum((256, 704), 16, (1.0, 60.0, 1.0), 'center'), cameras)
    plan = BEVPoolPlan.from_geometry(locations, grid, (-10.0, 10.0))
    assert plan.frustum_shape == (1, 6, 59, 16, 44) and 100_000 < len(plan.cells) < plan.points.numel()
    _assert_equals_reference(plan, 64)


@pytest.mark.parametrize('channels', [1, 9])
def test_gradcheck(channels):
    shape = (2, 2, 3, 2, 4)
    plan = BEVPoolPlan.from_geometry(random_locations(shape), GRID, Z_RANGE)
    inputs = [tensor.double().requires_grad_() for tensor in random_inputs(shape, channels)]
    assert len(plan.cells) > 10
    assert torch.autograd.gradcheck(lambda depth, context: bev_pool(depth, context, plan), inputs)


def test_twenty_runs_and_any_number_of_threads_agree_bit_for_bit():
    shape = (1, 6, 20, 16, 22)
    plan = BEVPoolPlan.from_geometry(random_locations(shape), GRID, Z_RANGE)
    inputs = random_inputs(shape, 24)
    first = pool_and_gradients(bev_pool, *inputs, plan)
    threads = torch.get_num_threads()
    try:
        for run in range(20):
            torch.set_num_threads(1 + run % 4)
            again = pool_and_gradients(bev_pool, *inputs, plan)
            assert all(torch.equal(a, b) for a, b in zip(first, again))
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize(
    'depth_type, context_type', list(itertools.product([torch.float32, torch.float16, torch.bfloat16], repeat=2))
)
def test_mixed_precisions(depth_type, context_type):
    plan = BEVPoolPlan.from_geometry(random_locations(), GRID, Z_RANGE)
    depth, context = random_inputs(SHAPE, 16)
    depth, context = depth.to(depth_type), context.to(context_type)
    ours = pool_and_gradients(bev_pool, depth, context, plan)
    expected = pool_and_gradients(bev_pool_reference, depth, context, plan)
    for got, right in zip(ours, expected):
        assert got.dtype == right.dtype
        torch.testing.assert_close(got, right)


def test_inputs_and_gradients_in_any_memory_layout():
    plan = BEVPoolPlan.from_geometry(random_locations(), GRID, Z_RANGE)
    depth, context = random_inputs(SHAPE, 12)
    expected = pool_and_gradients(bev_pool, depth, context, plan)
    strided = [tensor.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3) for tensor in (depth, context)]
    assert not any(tensor.is_contiguous() for tensor in strided)
    for got, right in zip(pool_and_gradients(bev_pool, *strided, plan), expected):
        assert torch.equal(got, right)
    depth.requires_grad_()
    bev_pool(depth, context, plan).sum().backward()  # the gradient of a sum is expanded, with strides of 0
    torch.testing.assert_close(
        depth.grad, torch.where(plan.point_cells >= 0, context.sum(dim=2).unsqueeze(2).expand(SHAPE), torch.zeros(()))
    )


def test_sorting_equals_torch():
    plan = BEVPoolPlan.from_geometry(random_locations(), GRID, Z_RANGE)
    expected = sort_points(plan.point_cells, GRID.height * GRID.width)
    ours = torch.ops.dualdistill.bev_pool_sort(plan.point_cells, GRID.height * GRID.width)
    for got, right in zip(ours, expected):
        assert got.dtype == torch.int32 and torch.equal(got, right)


def test_second_derivatives_are_refused():
    plan = BEVPoolPlan.from_geometry(random_locations(), GRID, Z_RANGE)
    depth, context = (tensor.requires_grad_() for tensor in random_inputs(SHAPE, 4))
    (grad,) = torch.autograd.grad(bev_pool(depth, context, plan).square().sum(), depth, create_graph=True)
    with pytest.raises(RuntimeError, match='bev_pool has no second derivatives'):
        grad.sum().backward()


def test_wrong_index_tensors_are_refused():
    plan = BEVPoolPlan.from_geometry(random_locations(), GRID, Z_RANGE)
    depth, context = random_inputs(SHAPE, 4)
    with pytest.raises(RuntimeError, match='cell_starts must be 481 contiguous int32 values, got 480'):
        torch.ops.dualdistill.bev_pool(
            depth, context, plan.points, plan.pixels, plan.cell_starts[1:], plan.point_cells, *plan.bev_size
        )


def _on_cpu(operator, *arguments):
    """Call the CPU's kernel whatever the devices, as CUDA's is called with an index that was left on the CPU."""
    return operator.default.redispatch(torch._C.DispatchKeySet(torch._C.DispatchKey.CPU), *arguments)


@pytest.mark.parametrize('name', ['points', 'pixels', 'cell_starts'])
def test_index_tensors_on_another_device_are_refused(name):
    plan = BEVPoolPlan.from_geometry(random_locations(), GRID, Z_RANGE)
    lists = {field: getattr(plan, field) for field in ('points', 'pixels', 'cell_starts')}
    lists[name] = lists[name].to('meta')
    inputs = random_inputs(SHAPE, 4)
    with pytest.raises(RuntimeError, match=f'{name} is on meta but must be on cpu .* move it there'):
        _on_cpu(torch.ops.dualdistill.bev_pool, *inputs, *lists.values(), plan.point_cells, *plan.bev_size)


def test_backward_refuses_wrong_devices_and_gradients():
    plan = BEVPoolPlan.from_geometry(random_locations(), GRID, Z_RANGE)
    depth, context = random_inputs(SHAPE, 4)
    grad, backward = torch.ones(2, 4, 12, 20), torch.ops.dualdistill.bev_pool_backward
    with pytest.raises(RuntimeError, match='point_cells is on meta but must be on cpu'):
        _on_cpu(backward, grad, depth, context, plan.point_cells.to('meta'), *plan.bev_size)
    with pytest.raises(RuntimeError, match='the gradient is on meta but must be on cpu'):
        _on_cpu(backward, grad.to('meta'), depth, context, plan.point_cells, *plan.bev_size)
    for shape in ((1, 4, 12, 20), (2, 3, 12, 20), (2, 4, 12, 19), (2, 4, 240)):
        with pytest.raises(RuntimeError, match=r'the gradient is \[.*\] but the output was \[2, 4, 12, 20\]'):
            backward(torch.ones(shape), depth, context, plan.point_cells, *plan.bev_size)
    with pytest.raises(RuntimeError, match=r'depth is \[2, 3, 7, 5, 9\] and context \[2, 3, 4, 5, 8\]'):
        backward(grad, depth, context[..., :8], plan.point_cells, *plan.bev_size)


class _LiftSplat(nn.Module):
    def forward(self, depth, context, locations):
        return bev_pool(depth.softmax(dim=2), context, BEVPoolPlan.from_geometry(locations, GRID, Z_RANGE)).relu()


def test_operators_pass_torchs_own_checks():
    plan = BEVPoolPlan.from_geometry(random_locations(), GRID, Z_RANGE)
    depth, context = (tensor.requires_grad_() for tensor in random_inputs(SHAPE, 4))
    arguments = (depth, context, plan.points, plan.pixels, plan.cell_starts, plan.point_cells, *plan.bev_size)
    torch.library.opcheck(torch.ops.dualdistill.bev_pool.default, arguments)
    torch.library.opcheck(torch.ops.dualdistill.bev_pool_sort.default, (plan.point_cells, GRID.height * GRID.width))


def test_compile_and_export_see_whole_graphs():
    locations = random_locations()
    depth, context = (tensor.requires_grad_() for tensor in random_inputs(SHAPE, 4))
    expected = _LiftSplat()(depth, context, locations)
    expected_grads = torch.autograd.grad(expected.square().sum(), (depth, context))
    compiled = torch.compile(_LiftSplat(), backend='aot_eager', fullgraph=True)(depth, context, locations)
    assert torch.equal(compiled, expected)
    torch.testing.assert_close(torch.autograd.grad(compiled.square().sum(), (depth, context)), expected_grads)
    exported = torch.export.export(_LiftSplat(), (depth.detach(), context.detach(), locations))
    assert torch.equal(exported.module()(depth.detach(), context.detach(), locations), expected)
    targets = {str(node.target) for node in exported.graph.nodes}
    assert {'dualdistill.bev_pool.default', 'dualdistill.bev_pool_sort.default'} <= targets


def test_shapes_without_data():
    depth, context = (tensor.to('meta') for tensor in random_inputs(SHAPE, 4, torch.bfloat16))
    plan = BEVPoolPlan.from_geometry(random_locations().to('meta'), GRID, Z_RANGE)
    out = bev_pool(depth, context, plan)
    assert out.device.type == 'meta' and out.shape == (2, 4, 12, 20) and out.dtype == torch.float32


def test_more_points_than_int32_counts_are_refused():
    locations = torch.empty(1, device='meta').expand(500, 6, 118, 64, 176, 3)
    with pytest.raises(ValueError, match='holds 3987456000 points .* more than 2147483647: make the batch smaller'):
        BEVPoolPlan.from_geometry(locations, GRID, Z_RANGE)
