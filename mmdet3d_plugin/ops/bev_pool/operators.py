"""The BEV pooling operators as torch sees them: schemas, shapes without data (fake kernels) and gradients.

Kernels are in ``csrc`` and come with the compiled libraries. Index tensors are those of ``BEVPoolPlan``: the
operators check their sizes, types and devices, and trust what is in them.
"""

import torch
from torch import Tensor

_LIBRARY = torch.library.Library('dualdistill', 'DEF')
_LIBRARY.define(
    'bev_pool(Tensor depth, Tensor context, Tensor points, Tensor pixels, Tensor cell_starts, Tensor point_cells, '
    'int height, int width) -> Tensor'
)
_LIBRARY.define(
    'bev_pool_backward(Tensor grad, Tensor depth, Tensor context, Tensor point_cells, int height, int width) '
    '-> (Tensor, Tensor)'
)
_LIBRARY.define('bev_pool_sort(Tensor point_cells, int cells_per_sample) -> (Tensor, Tensor, Tensor)')


def sort_points(point_cells: Tensor, cells_per_sample: int) -> tuple[Tensor, Tensor, Tensor]:
    """Order points by cell, on any device and without waiting for it.

    Args:
        point_cells: (B, N, D, h, w) int32 cell of each point, -1 for none; a sample's cells follow the last one's.
        cells_per_sample: H * W.

    Returns:
        ``points``, ``pixels`` and ``cell_starts`` of a :class:`BEVPoolPlan`.
    """
    batch, _, bins, height, width = point_cells.shape
    count = batch * cells_per_sample
    keys = point_cells.masked_fill(point_cells < 0, count).flatten()
    keys, points = torch.sort(keys, stable=True)
    bounds = torch.arange(count + 1, dtype=torch.int32, device=keys.device)
    image = torch.div(points, max(bins * height * width, 1), rounding_mode='floor')
    pixels = image * (height * width) + points % max(height * width, 1)
    return points.int(), pixels.int(), torch.searchsorted(keys, bounds, out_int32=True)


@torch.library.register_fake('dualdistill::bev_pool', lib=_LIBRARY)
def _(depth, context, points, pixels, cell_starts, point_cells, height, width):
    dtype = torch.promote_types(torch.promote_types(depth.dtype, context.dtype), torch.float32)
    return context.new_empty(context.shape[0], context.shape[2], height, width, dtype=dtype)


@torch.library.register_fake('dualdistill::bev_pool_backward', lib=_LIBRARY)
def _(grad, depth, context, point_cells, height, width):
    return depth.new_empty(depth.shape), context.new_empty(context.shape)


@torch.library.register_fake('dualdistill::bev_pool_sort', lib=_LIBRARY)
def _(point_cells, cells_per_sample):
    points = point_cells.new_empty(point_cells.numel())
    return points, torch.empty_like(points), point_cells.new_empty(point_cells.shape[0] * cells_per_sample + 1)


def _save_inputs(ctx, inputs, output):
    depth, context, _, _, _, point_cells, *ctx.bev_size = inputs
    ctx.save_for_backward(depth, context, point_cells)


def _input_gradients(ctx, grad):
    grads = torch.ops.dualdistill.bev_pool_backward(grad, *ctx.saved_tensors, *ctx.bev_size)
    return (*grads, *[None] * 6)


def _no_second_derivatives(ctx, *grads):
    raise RuntimeError('bev_pool has no second derivatives')


torch.library.register_autograd('dualdistill::bev_pool', _input_gradients, setup_context=_save_inputs, lib=_LIBRARY)
torch.library.register_autograd('dualdistill::bev_pool_backward', _no_second_derivatives, lib=_LIBRARY)
