"""BEV pooling in plain torch: the back end where no compiled one is, and what compiled ones are tested against."""

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from .plan import BEVPoolPlan

# Points handled at once: bounds the largest temporary at chunk * C values (64 MiB of fp32 for 64 channels).
_CHUNK = 1 << 18


def bev_pool_reference(depth_prob: Tensor, context: Tensor, plan: BEVPoolPlan, chunk: int = _CHUNK) -> Tensor:
    """As :func:`bev_pool`; ``chunk`` frustum points are handled at once."""
    return _ReferenceBEVPool.apply(depth_prob, context, plan, chunk)


class _ReferenceBEVPool(Function):
    """A hand-written backward, so that autograd keeps the two inputs and no products."""

    @staticmethod
    def forward(ctx, depth_prob, context, plan, chunk):
        ctx.save_for_backward(depth_prob, context)
        ctx.plan, ctx.chunk = plan, chunk
        batch, channels = context.shape[0], context.shape[2]
        depth, pixels = _flatten(depth_prob, context)
        out = pixels.new_zeros(batch * plan.bev_size[0] * plan.bev_size[1], channels)
        for cell, point, pixel in _chunks(plan, chunk):
            out.index_add_(0, cell, pixels[pixel] * depth[point].unsqueeze(1))
        return out.view(batch, *plan.bev_size, channels).permute(0, 3, 1, 2).contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_out):
        depth_prob, context = ctx.saved_tensors
        depth, pixels = _flatten(depth_prob, context)
        grad_cells = grad_out.permute(0, 2, 3, 1).flatten(0, 2).to(pixels.dtype)
        grad_depth, grad_pixels = torch.zeros_like(depth), torch.zeros_like(pixels)
        for cell, point, pixel in _chunks(ctx.plan, ctx.chunk):
            grad = grad_cells[cell]
            grad_depth[point] = (grad * pixels[pixel]).sum(dim=1)
            grad_pixels.index_add_(0, pixel, grad * depth[point].unsqueeze(1))
        grad_depth = grad_depth.view_as(depth_prob).to(depth_prob.dtype)
        batch, cams, channels, height, width = context.shape
        grad_context = grad_pixels.view(batch, cams, height, width, channels).permute(0, 1, 4, 2, 3)
        return grad_depth, grad_context.to(context.dtype), None, None


def _flatten(depth_prob, context):
    """Depth as (B*N*D*h*w,) and context as (B*N*h*w, C), in the precision sums run in."""
    dtype = torch.promote_types(torch.promote_types(depth_prob.dtype, context.dtype), torch.float32)
    pixels = context.permute(0, 1, 3, 4, 2).flatten(0, 3)
    return depth_prob.reshape(-1).to(dtype), pixels.to(dtype)


def _chunks(plan, size):
    """(cells, points, pixels), int64, of the points that have a cell."""
    count = len(plan.cells)
    lists = (plan.cells, plan.points[:count].long(), plan.pixels[:count].long())
    return zip(*(indices.split(size) for indices in lists))
