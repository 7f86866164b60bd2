"""The sparse convolution operators as torch sees them: schemas, shapes without data (fake kernels) and gradients.

Kernels are in ``csrc`` and come with the compiled library. Pairs are those of :class:`.rulebook.Rulebook`; kernels
trust what is in them. The gradient of the input is the same convolution with sources and targets exchanged and the
weight transposed.
"""

import torch

_LIBRARY = torch.library.Library('dualdistill', 'FRAGMENT')
_GEOMETRY = 'int[] grid, int[] kernel, int[] stride, int[] padding, int[] dilation'
_LIBRARY.define(f'sparse_conv_outputs(Tensor coords, {_GEOMETRY}) -> Tensor')
_PAIRS = 'Tensor sources, Tensor targets, Tensor starts'
_LIBRARY.define(f'sparse_conv_pairs(Tensor coords, Tensor out_coords, {_GEOMETRY}) -> (Tensor, Tensor, Tensor)')
_LIBRARY.define(f'sparse_conv(Tensor features, Tensor weight, {_PAIRS}, int rows) -> Tensor')
_LIBRARY.define(f'sparse_conv_weight_grad(Tensor features, Tensor grad, {_PAIRS}) -> Tensor')


@torch.library.register_fake('dualdistill::sparse_conv_outputs', lib=_LIBRARY)
def _(coords, grid, kernel, stride, padding, dilation):
    return coords.new_empty(torch.library.get_ctx().new_dynamic_size(), 4)


@torch.library.register_fake('dualdistill::sparse_conv_pairs', lib=_LIBRARY)
def _(coords, out_coords, grid, kernel, stride, padding, dilation):
    sources = coords.new_empty(torch.library.get_ctx().new_dynamic_size())
    starts = coords.new_empty(kernel[0] * kernel[1] * kernel[2] + 1, dtype=torch.int64)
    return sources, torch.empty_like(sources), starts


@torch.library.register_fake('dualdistill::sparse_conv', lib=_LIBRARY)
def _(features, weight, sources, targets, starts, rows):
    dtype = torch.promote_types(features.dtype, weight.dtype)
    return features.new_empty(rows, weight.shape[2], dtype=dtype)


@torch.library.register_fake('dualdistill::sparse_conv_weight_grad', lib=_LIBRARY)
def _(features, grad, sources, targets, starts):
    dtype = torch.promote_types(features.dtype, grad.dtype)
    return features.new_empty(starts.shape[0] - 1, features.shape[1], grad.shape[1], dtype=dtype)


def _save_inputs(ctx, inputs, output):
    ctx.save_for_backward(*inputs[:5])


def _convolution_gradients(ctx, grad):
    features, weight, sources, targets, starts = ctx.saved_tensors
    grad_features = grad_weight = None
    if ctx.needs_input_grad[0]:
        turned = (weight.transpose(1, 2), targets, sources, starts, features.shape[0])
        grad_features = torch.ops.dualdistill.sparse_conv(grad, *turned).to(features.dtype)
    if ctx.needs_input_grad[1]:
        grad_weight = torch.ops.dualdistill.sparse_conv_weight_grad(features, grad, sources, targets, starts)
        grad_weight = grad_weight.to(weight.dtype)
    return grad_features, grad_weight, None, None, None, None


def _weight_grad_gradients(ctx, grad):
    features, grad_out, sources, targets, starts = ctx.saved_tensors
    turned = (grad.transpose(1, 2), targets, sources, starts, features.shape[0])
    to_features = torch.ops.dualdistill.sparse_conv(grad_out, *turned)
    to_grad_out = torch.ops.dualdistill.sparse_conv(features, grad, sources, targets, starts, grad_out.shape[0])
    return to_features.to(features.dtype), to_grad_out.to(grad_out.dtype), None, None, None


torch.library.register_autograd(
    'dualdistill::sparse_conv', _convolution_gradients, setup_context=_save_inputs, lib=_LIBRARY
)
torch.library.register_autograd(
    'dualdistill::sparse_conv_weight_grad', _weight_grad_gradients, setup_context=_save_inputs, lib=_LIBRARY
)
