"""Multi-scale deformable sampling: weighted bilinear reads of feature maps at learned places (arXiv 2010.04159).

A location (x, y) in [0, 1] runs from the outer border of the first cell to that of the last one; outside everything is
zero. All sampling is done in float32 at least, whatever autocast says: half precision moves a place by a cell.

On CUDA mmcv's kernel does the work. On the CPU a query's reads are one bag of ``embedding_bag``, whose numbers are the
bilinear weights times the attention. Unlike mmcv's ``grid_sample`` path it never holds the samples themselves: a fifth
of the memory forward, half with the backward pass, and more than twice as fast forward, where most of training with a
history is (``benchmark.py attention``). ONNX has no bags: an export takes the ``grid_sample`` path.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction, multi_scale_deformable_attn_pytorch
from torch import Tensor

Shapes = Sequence[tuple[int, int]]


def sample_maps(value: Tensor, shapes: Shapes, locations: Tensor, weights: Tensor) -> Tensor:
    """Every map is read by the same number of queries.

    Args:
        value: (M, S, heads, D) tokens of M images (or BEV maps), row-major, levels one after the other.
        shapes: (h, w) of each of the L levels; S is the sum of their h * w.
        locations: (M, Q, heads, L, P, 2), x and y as fractions of the level's width and height.
        weights: (M, Q, heads, L, P).

    Returns:
        (M, Q, heads * D), float32 at least.
    """
    maps, queries = locations.shape[:2]
    if value.is_cuda or torch.onnx.is_in_onnx_export():
        value, locations, weights = _all_in_full_precision(value, locations, weights)
        with torch.autocast(value.device.type, enabled=False):
            return _mmcv_sampling(value, shapes, locations, weights)
    image = torch.arange(maps, device=value.device).repeat_interleave(queries)
    return sample_packed(value, shapes, locations.flatten(0, 1), weights.flatten(0, 1), image).unflatten(
        0, (maps, queries)
    )


def sample_packed(value: Tensor, shapes: Shapes, locations: Tensor, weights: Tensor, image: Tensor) -> Tensor:
    """Each query names the image it reads, so images may have any number of queries and none is padded.

    Args:
        value, shapes: see :func:`sample_maps`.
        locations: (K, heads, L, P, 2).
        weights: (K, heads, L, P).
        image: (K,) int64 in [0, M).

    Returns:
        (K, heads * D), float32 at least.
    """
    value, locations, weights = _all_in_full_precision(value, locations, weights)
    if not len(image):  # keeps its place in the graph: parameters get zeros rather than nothing
        nothing = locations.flatten(1).sum(1, keepdim=True) + weights.flatten(1).sum(1, keepdim=True) + 0 * value.sum()
        return nothing.expand(0, value.shape[2] * value.shape[3])
    sample = _sample_one_tall_image if value.is_cuda else _sample_by_bags
    sample = _sample_by_grids if torch.onnx.is_in_onnx_export() else sample
    with torch.autocast(value.device.type, enabled=False):
        return sample(value, shapes, locations, weights, image)


def in_full_precision(tensor: Tensor) -> Tensor:
    """The tensor in float32, or as it is when it has more digits."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def _all_in_full_precision(*tensors):
    """``in_full_precision``, and all in the same."""
    dtype = torch.float32
    for tensor in tensors:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return [tensor.to(dtype) for tensor in tensors]


def _sample_by_bags(value, shapes, locations, weights, image):
    """All reads of one query and head are one bag: indices of cells, and what each is worth."""
    tokens, heads, dims = value.shape[1:]
    sizes = torch.tensor(shapes, dtype=torch.int32, device=value.device)
    starts = F.pad(sizes.prod(1).cumsum(0)[:-1], (1, 0)).int()
    heights, widths = sizes[:, :1], sizes[:, 1:]
    columns, column_weights = _neighbours(locations[..., 0], widths)
    rows, row_weights = _neighbours(locations[..., 1], heights)
    # The table has a line for each cell and head. All but the last sum and product are on half of the reads at most.
    first = image.int().view(-1, 1, 1, 1) * tokens + starts.view(-1, 1)
    head = torch.arange(heads, dtype=torch.int32, device=value.device).view(-1, 1, 1, 1)
    row_lines = (first.unsqueeze(-1) + rows * widths.unsqueeze(-1)) * heads + head
    lines = row_lines.unsqueeze(-1) + (columns * heads).unsqueeze(-2)
    worth = (weights.unsqueeze(-1) * row_weights).unsqueeze(-1) * column_weights.unsqueeze(-2)
    bags = len(image) * heads
    summed = F.embedding_bag(
        lines.view(bags, -1), value.reshape(-1, dims), mode='sum', per_sample_weights=worth.reshape(bags, -1)
    )
    return summed.view(len(image), heads * dims)


def _neighbours(places, sizes):
    """The two cells beside each place along one axis, and their bilinear weights, 0 outside.

    Args:
        places: (K, heads, L, P) fractions of the axis.
        sizes: (L, 1) int32 cells.

    Returns:
        tuple: (..., 2) int32 in [0, size) and (..., 2) weights.
    """
    # Far outside is as good as just outside, and fits an integer.
    pixels = torch.minimum((places * sizes - 0.5).clamp(min=-2), sizes + 1.0)
    low = pixels.detach().floor()
    fraction = pixels - low
    cells = torch.stack([low, low + 1], dim=-1).int()
    last = (sizes - 1).unsqueeze(-1)
    inside = (cells >= 0) & (cells <= last)
    return torch.minimum(cells.clamp(min=0), last), torch.stack([1 - fraction, fraction], dim=-1) * inside


def _sample_one_tall_image(value, shapes, locations, weights, image):
    """mmcv's operator knows one number of queries for all images. So it gets one tall image and all the queries.

    The images of a level stand below each other with a row of zeros after each, which is what lies outside of them.
    """
    tall, moved = _tall_images(value, shapes, locations, image)
    tall_shapes = [(len(value) * (height + 1), width) for height, width in shapes]
    return _mmcv_sampling(torch.cat(tall)[None], tall_shapes, torch.stack(moved, dim=2)[None], weights[None])[0]


def _sample_by_grids(value, shapes, locations, weights, image):
    """The same tall images, each read by ``grid_sample``, for exporters: any number of images and of queries."""
    read = []
    tall, moved = _tall_images(value, shapes, locations, image)
    for level, (tokens, places, (_, width)) in enumerate(zip(tall, moved, shapes)):
        picture = tokens.permute(1, 2, 0).unflatten(2, (-1, width))
        values = F.grid_sample(picture, 2 * places.transpose(0, 1) - 1, align_corners=False)
        read.append((values * weights[:, :, level].transpose(0, 1).unsqueeze(1)).sum(-1))
    return sum(read[1:], read[0]).permute(2, 0, 1).flatten(1)


def _tall_images(value, shapes, locations, image):
    """Per level the images below each other, (M * (h + 1) * w, heads, D), and the places in them, (K, heads, P, 2)."""
    count = value.shape[0]
    tall, moved = [], []
    for level, (tokens, (height, width)) in enumerate(zip(value.split([h * w for h, w in shapes], dim=1), shapes)):
        tall.append(F.pad(tokens, (0, 0, 0, 0, 0, width)).flatten(0, 1))
        rows = (locations[:, :, level, :, 1] * height).clamp(-0.5, height + 0.5)  # not into a neighbour
        rows = rows + (image * (height + 1)).view(-1, 1, 1)
        moved.append(torch.stack([locations[:, :, level, :, 0], rows / (count * (height + 1))], dim=-1))
    return tall, moved


def _mmcv_sampling(value, shapes, locations, weights):
    """mmcv's operator on CUDA, its torch path elsewhere."""
    if not value.is_cuda:
        return multi_scale_deformable_attn_pytorch(value, shapes, locations, weights)
    sizes = torch.tensor(shapes, device=value.device)
    starts = F.pad(sizes.prod(1).cumsum(0)[:-1], (1, 0))
    return MultiScaleDeformableAttnFunction.apply(
        value.contiguous(), sizes, starts, locations.contiguous(), weights.contiguous(), len(value)
    )
