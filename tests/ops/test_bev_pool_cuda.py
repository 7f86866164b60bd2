"""The CUDA operators against the plain torch back end on the CPU, which runs in float64 here."""

import pytest
import torch
from helpers.bev_pool import GEOMETRIES, GRID, Z_RANGE, pool_and_gradients, random_inputs, random_locations

from mmdet3d_plugin.ops.backend import ENVIRONMENT_VARIABLE
from mmdet3d_plugin.ops.bev_pool import BEVPoolPlan, bev_pool, select_backend
from mmdet3d_plugin.ops.bev_pool.reference import bev_pool_reference

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device'),
    pytest.mark.usefixtures('cuda_operators'),
]

FULL_SIZE = (1, 6, 59, 16, 44)


@pytest.fixture
def cuda_operators(monkeypatch):
    """No silent fall back to plain torch."""
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, 'cuda')
    assert select_backend('cuda') == 'cuda'


@pytest.fixture
def cpu_plan(monkeypatch):
    """Function: locations -> plan made by plain torch on the CPU."""

    def make(locations):
        with monkeypatch.context() as patch:
            patch.setenv(ENVIRONMENT_VARIABLE, 'reference')
            return BEVPoolPlan.from_geometry(locations, GRID, Z_RANGE)

    return make


def _on_gpu(tensors):
    return [tensor.cuda() for tensor in tensors]


@pytest.mark.parametrize('channels', [0, 1, 7, 8, 64, 100])
@pytest.mark.parametrize('name', GEOMETRIES)
def test_equals_the_reference(name, channels, cpu_plan):
    locations = GEOMETRIES[name]()
    plan, expected_plan = BEVPoolPlan.from_geometry(locations.cuda(), GRID, Z_RANGE), cpu_plan(locations)
    for field in ('point_cells', 'points', 'pixels', 'cell_starts'):
        assert torch.equal(getattr(plan, field).cpu(), getattr(expected_plan, field)), field
    inputs = random_inputs(plan.frustum_shape, channels)
    ours = pool_and_gradients(bev_pool, *_on_gpu(inputs), plan)
    expected = pool_and_gradients(bev_pool_reference, *(tensor.double() for tensor in inputs), expected_plan)
    for got, right in zip(ours, expected):
        assert got.is_cuda and got.dtype == torch.float32
        torch.testing.assert_close(got.cpu().double(), right, rtol=1e-5, atol=1e-5)


def test_twenty_runs_agree_bit_for_bit():
    plan = BEVPoolPlan.from_geometry(random_locations(FULL_SIZE).cuda(), GRID, Z_RANGE)
    inputs = _on_gpu(random_inputs(FULL_SIZE, 64))
    first = pool_and_gradients(bev_pool, *inputs, plan)
    for _ in range(20):
        assert all(torch.equal(a, b) for a, b in zip(first, pool_and_gradients(bev_pool, *inputs, plan)))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_sums_in_float32(dtype, cpu_plan):
    locations = random_locations()
    plan, expected_plan = BEVPoolPlan.from_geometry(locations.cuda(), GRID, Z_RANGE), cpu_plan(locations)
    inputs = random_inputs(plan.frustum_shape, 16, dtype)
    ours = pool_and_gradients(bev_pool, *_on_gpu(inputs), plan)
    expected = pool_and_gradients(bev_pool_reference, *inputs, expected_plan)
    assert ours[0].dtype == torch.float32 and ours[1].dtype == ours[2].dtype == dtype
    for got, right in zip(ours, expected):
        torch.testing.assert_close(got.cpu(), right)


def test_gradcheck():
    shape = (2, 2, 3, 2, 4)
    plan = BEVPoolPlan.from_geometry(random_locations(shape).cuda(), GRID, Z_RANGE)
    inputs = [tensor.double().cuda().requires_grad_() for tensor in random_inputs(shape, 9)]
    assert torch.autograd.gradcheck(lambda depth, context: bev_pool(depth, context, plan), inputs)


def test_views_at_odd_offsets(cpu_plan):
    """Contiguous, but not where 16 bytes can be loaded at once."""
    locations = random_locations()
    plan, expected_plan = BEVPoolPlan.from_geometry(locations.cuda(), GRID, Z_RANGE), cpu_plan(locations)
    depth, context = random_inputs(plan.frustum_shape, 16)
    rows = torch.empty(context.numel() + 1, device='cuda')[1:].view(2, 3, 5, 9, 16)
    odd = rows.copy_(context.permute(0, 1, 3, 4, 2)).permute(0, 1, 4, 2, 3)
    assert odd.data_ptr() % 16
    ours = pool_and_gradients(bev_pool, depth.cuda(), odd, plan)
    expected = pool_and_gradients(bev_pool_reference, depth.double(), context.double(), expected_plan)
    for got, right in zip(ours, expected):
        torch.testing.assert_close(got.cpu().double(), right, rtol=1e-5, atol=1e-5)


def test_index_tensors_on_the_cpu_are_refused():
    plan = BEVPoolPlan.from_geometry(random_locations().cuda(), GRID, Z_RANGE)
    inputs = _on_gpu(random_inputs(plan.frustum_shape, 4))
    lists = (plan.points.cpu(), plan.pixels, plan.cell_starts, plan.point_cells)
    with pytest.raises(RuntimeError, match='points is on cpu but must be on cuda:0'):
        torch.ops.dualdistill.bev_pool(*inputs, *lists, *plan.bev_size)
