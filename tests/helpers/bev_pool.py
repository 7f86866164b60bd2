"""Frustums of every kind for BEV pooling, inputs of their sizes, and what a pooling function makes of them."""

import torch

from mmdet3d_plugin.structures import BEVGrid

GRID = BEVGrid(x_min=-8.0, y_min=-6.0, x_max=8.0, y_max=6.0, height=12, width=20)
Z_RANGE = (-2.0, 2.0)
SHAPE = (2, 3, 7, 5, 9)  # 45 pixels an image and 240 cells a sample: neither is a whole number of 16-wide tiles


def random_locations(shape=SHAPE):
    """Points in and around the grid, metres: (*shape, 3)."""
    return (torch.rand(*shape, 3) - 0.5) * torch.tensor([20.0, 16.0, 6.0])


GEOMETRIES = {
    'random': random_locations,
    'one_cell': lambda: torch.tensor([0.3, 0.3, 0.0]).expand(1, 6, 59, 16, 8, 3),
    'none_inside': lambda: torch.full((*SHAPE, 3), 99.0),
    'one_camera': lambda: random_locations((1, 1, *SHAPE[2:])),
    'no_camera': lambda: random_locations((2, 0, *SHAPE[2:])),
    'no_sample': lambda: random_locations((0, *SHAPE[1:])),
    'no_depth': lambda: random_locations((2, 3, 0, 5, 9)),
    'no_pixel': lambda: random_locations((2, 3, 7, 0, 9)),
}


def random_inputs(shape, channels, dtype=torch.float32):
    """Depth distribution and context of a frustum of ``shape``."""
    batch, cams, _, height, width = shape
    depth = torch.randn(shape).softmax(dim=2) if shape[2] else torch.randn(shape)
    return depth.to(dtype), torch.randn(batch, cams, channels, height, width).to(dtype)


def pool_and_gradients(pool, depth, context, plan):
    """[output, gradient of depth, gradient of context] for a fixed gradient of the output."""
    depth, context = (tensor.detach().requires_grad_() for tensor in (depth, context))
    out = pool(depth, context, plan)
    weight = torch.linspace(-1, 1, out.numel(), dtype=torch.float64).view_as(out).to(out)
    return [out.detach(), *torch.autograd.grad(out, (depth, context), weight)]
