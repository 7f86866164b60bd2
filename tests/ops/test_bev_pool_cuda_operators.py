"""The CUDA operators with all that torch does around their kernels, on the CPU: kernels run on the emulator."""

import pytest
import torch
from helpers import cuda_emulator
from helpers.bev_pool import GRID, SHAPE, Z_RANGE, pool_and_gradients, random_inputs, random_locations
from torch.utils.cpp_extension import include_paths, library_paths

from mmdet3d_plugin.ops import build_extension
from mmdet3d_plugin.ops.bev_pool import BEVPoolPlan
from mmdet3d_plugin.ops.bev_pool.reference import bev_pool_reference

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(torch.cuda.is_available(), reason='the operators proper are tested on the CUDA device'),
]


@pytest.fixture(scope='module', autouse=True)
def operators(tmp_path_factory):
    """Registers the operators for CUDA in this process; their kernels take tensors of the CPU."""
    folder = tmp_path_factory.mktemp('operators')
    sources = [source for source in build_extension._SOURCES['cuda'] if source.suffix != '.h']
    units = [(cuda_emulator.EMULATOR / name, ()) for name in ('emulator.cpp', 'no_trace.cpp')]
    units += [
        (cuda_emulator.translated(folder, source), cuda_emulator.KERNEL) if source.suffix == '.cu' else (source, ())
        for source in sources
    ]
    includes = [cuda_emulator.EMULATOR / 'torch_include', cuda_emulator.EMULATOR / 'include', sources[0].parent]
    abi = f'-D_GLIBCXX_USE_CXX11_ABI={int(torch._C._GLIBCXX_USE_CXX11_ABI)}'
    flags = ['-std=c++20', '-O1', '-fPIC', abi, *(f'-I{path}' for path in includes)]
    flags += [f'-isystem{path}' for path in include_paths()]
    library = folder / 'operators.so'
    libraries = [*(f'-L{path}' for path in library_paths()), '-lc10', '-ltorch', '-ltorch_cpu']
    cuda_emulator.link(cuda_emulator.compile_all(folder, units, flags), library, '-shared', *libraries)
    torch.ops.load_library(str(library))


def _call(name, *arguments):
    operator = getattr(torch.ops.dualdistill, name).default
    return operator.redispatch(torch._C.DispatchKeySet(torch._C.DispatchKey.CUDA), *arguments)


class _Pool(torch.autograd.Function):
    @staticmethod
    def forward(ctx, depth, context, plan):
        ctx.save_for_backward(depth, context)
        ctx.plan = plan
        lists = (plan.points, plan.pixels, plan.cell_starts, plan.point_cells)
        return _call('bev_pool', depth, context, *lists, *plan.bev_size)

    @staticmethod
    def backward(ctx, grad):
        plan = ctx.plan
        return (*_call('bev_pool_backward', grad, *ctx.saved_tensors, plan.point_cells, *plan.bev_size), None)


@pytest.fixture
def plan():
    return BEVPoolPlan.from_geometry(random_locations(), GRID, Z_RANGE)


def _check(depth, context, plan, tolerance=1e-5):
    ours = pool_and_gradients(_Pool.apply, depth, context, plan)
    expected = pool_and_gradients(bev_pool_reference, depth.double(), context.double(), plan)
    for got, right, like in zip(ours, expected, (None, depth, context)):
        assert got.is_contiguous() and got.dtype == (like if like is not None else right.new_empty(0).float()).dtype
        torch.testing.assert_close(got.double(), right, rtol=tolerance, atol=tolerance)


def test_plan_equals_the_cpus(plan):
    lists = _call('bev_pool_sort', plan.point_cells, GRID.height * GRID.width)
    for got, right in zip(lists, (plan.points, plan.pixels, plan.cell_starts)):
        assert torch.equal(got, right)


@pytest.mark.parametrize('channels', [1, 12, 64])
def test_equals_the_reference(channels, plan):
    _check(*random_inputs(SHAPE, channels), plan)


def test_channels_last_and_half(plan):
    depth, context = random_inputs(SHAPE, 16)
    rows = context.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, SHAPE[:2])
    assert not rows.is_contiguous()
    _check(depth, rows, plan)
    _check(depth, context.half(), plan, 1e-3)
    _check(depth, rows.bfloat16(), plan, 1e-2)


def test_views_at_odd_offsets(plan):
    """Contiguous, but not where 16 bytes can be loaded at once."""
    depth, context = random_inputs(SHAPE, 16)
    views = [torch.empty(tensor.numel() + 1)[1:].view(tensor.shape).copy_(tensor) for tensor in (depth, context)]
    rows = torch.empty(context.numel() + 1)[1:].view(2, 3, 5, 9, 16).copy_(context.permute(0, 1, 3, 4, 2))
    for odd in (views[1], rows.permute(0, 1, 4, 2, 3)):
        assert odd.data_ptr() % 16
        _check(views[0], odd, plan)


def test_gradients_that_are_views(plan):
    depth, context = random_inputs(SHAPE, 8)
    grad = torch.randn(2, 12, 20, 9)[..., 1:].permute(0, 3, 1, 2)  # by rows, with a gap
    got = _call('bev_pool_backward', grad, depth, context, plan.point_cells, *plan.bev_size)
    expected = torch.ops.dualdistill.bev_pool_backward(grad, depth, context, plan.point_cells, *plan.bev_size)
    torch.testing.assert_close(got, expected)


def test_nothing_to_pool(plan):
    _check(*random_inputs(SHAPE, 0), plan)
    empty = BEVPoolPlan.from_geometry(random_locations((0, *SHAPE[1:])), GRID, Z_RANGE)
    _check(*random_inputs(empty.frustum_shape, 4), empty)
    assert _call('bev_pool_sort', empty.point_cells, GRID.height * GRID.width)[2].tolist() == [0]


def test_wrong_gradients_are_refused(plan):
    depth, context = random_inputs(SHAPE, 4)
    with pytest.raises(RuntimeError, match='the gradient is'):
        _call('bev_pool_backward', torch.ones(2, 4, 12, 19), depth, context, plan.point_cells, *plan.bev_size)
