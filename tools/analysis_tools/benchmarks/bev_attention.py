"""``benchmark.py attention``: BEVFormer's spatial attention packed and padded, its history without and with gradients.

Six cameras look all around, the last one at a wider angle as nuScenes' does; everything else is random.
"""

import contextlib
import functools
from dataclasses import dataclass
from unittest import mock

import torch
from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction, multi_scale_deformable_attn_pytorch
from mmdet3d.models.builder import HEADS
from torch import nn

from mmdet3d_plugin.compat import no_grad
from mmdet3d_plugin.models.bev_transformer import deformable_sampling
from mmdet3d_plugin.models.bev_transformer.pillar_projection import find_visible, frame_projection, pillar_points
from mmdet3d_plugin.models.bev_transformer.spatial_cross_attention import SpatialCrossAttention
from mmdet3d_plugin.models.detectors import BEVFormer
from mmdet3d_plugin.models.heads.base import BEVHead
from mmdet3d_plugin.models.initial_weights import initialise
from mmdet3d_plugin.structures import BEVGrid
from mmdet3d_plugin.synthetic.random_batch import make_batch

from .timing import paired_times, peak_extra_mib
from .variants import check_equal, compare, variant_rows

_RANGE = (-51.2, -51.2, -5.0, 51.2, 51.2, 3.0)
_CAMS = 6
_FOCALS = (1260.0,) * 5 + (810.0,)  # pixels


@dataclass(frozen=True)
class Sizes:
    """What is measured; by default about a tenth of the full map's cells, and of the tokens of the images.

    Attributes:
        padded_size: (H, W) of the padded images, pixels.
        stride: of the finest of four levels of image features.
        cells, dims: of the map along each axis, and channels.
        image_size, history_cells, history_dims, layers: of the small BEVFormer, its images, map and encoder.
    """

    padded_size: tuple = (928, 1600)
    stride: int = 24
    cells: int = 64
    dims: int = 256
    image_size: tuple = (64, 192)
    history_cells: int = 32
    history_dims: int = 64
    layers: int = 2


TINY = Sizes(stride=128, cells=8, dims=16, image_size=(32, 64), history_cells=6, history_dims=16, layers=1)


@HEADS.register_module()
class NoHead(BEVHead, nn.Module):
    """Stands where a detector wants a head of which nothing is asked."""

    classes = ()
    predict = decode = loss = None

    def __init__(self):
        nn.Module.__init__(self)

    def check_input(self, level):
        """Any map will do."""


def measure(args):
    """(numbers by name, e.g. 'spatial_attention.forward_ratio_vs_padded'; tables by name)."""
    sizes = TINY if args.tiny else Sizes()
    numbers, tables = dict(tiny=args.tiny), {}
    for part in (sampling, spatial_attention, history):
        more, tables[part.__name__] = part(args, sizes)
        numbers.update(more)
    return numbers, tables


def sampling(args, sizes):
    """(numbers, rows): the reads alone, of random places, beside mmcv's operator on one tall image.

    On CUDA both are the same.
    """
    module, query, tokens, shapes, pairs = _attention_inputs(args.device, sizes)
    heads, points = module.deformable_attention.num_heads, module.deformable_attention.num_points
    shape = (len(pairs.image), heads, len(shapes), points)
    value = tokens.detach().unflatten(-1, (heads, -1)).requires_grad_()
    places = pairs.points.repeat(1, points // pairs.points.shape[1], 1)[:, None, None]
    places = (places + 0.05 * torch.randn(*shape, 2, device=args.device)).requires_grad_()
    weights = torch.rand(shape, device=args.device, requires_grad=True)
    inputs = (value, shapes, places, weights, pairs.image)
    variants = dict(packed=deformable_sampling.sample_packed, tall_image=deformable_sampling._sample_one_tall_image)
    calls = {name: functools.partial(run, *inputs) for name, run in variants.items()}
    numbers, rows = {}, [('reads of the attention alone', 'packed', 'one tall image')]
    _both_ways(args, 'sampling', calls, (value, places, weights), numbers, rows)
    return numbers, rows


def spatial_attention(args, sizes):
    """(numbers, rows): time and peak memory of one spatial cross-attention of one sample."""
    module, query, tokens, shapes, pairs = _attention_inputs(args.device, sizes)
    variants = dict(packed=module, padded=functools.partial(_padded_loop, module))
    with torch.no_grad():
        results = {name: run(query, tokens, shapes, pairs) for name, run in variants.items()}
    seen = torch.bincount(pairs.image, minlength=_CAMS)
    counts = (len(pairs.image), int(seen.max()) * _CAMS)
    numbers = {'spatial_attention.max_difference': check_equal(results, 1e-3)}
    numbers.update({f'spatial_attention.pairs.{name}': count for name, count in zip(variants, counts)})
    rows = [('spatial attention', *variants), ('pairs of camera and cell', *map(str, counts))]
    calls = {name: functools.partial(run, query, tokens, shapes, pairs) for name, run in variants.items()}
    _both_ways(args, 'spatial_attention', calls, (query, tokens, *module.parameters()), numbers, rows)
    return numbers, rows


def history(args, sizes):
    """(numbers, rows): a step of a small BEVFormer that sees three earlier frames."""
    model, batch = _small_bevformer(sizes).to(args.device), _queue(args.device, sizes)

    def step(context):
        with mock.patch(f'{BEVFormer.__module__}.no_grad', context):
            model.extract_bev(batch).head_map.square().mean().backward()
        model.zero_grad()

    runs = dict(no_gradients=functools.partial(step, no_grad))
    runs['gradients'] = functools.partial(step, contextlib.nullcontext)
    numbers, rows = {}, [('three frames of history', 'without gradients', 'with gradients')]
    _compare(args, 'history', 'forward_backward', runs, numbers, rows)
    return numbers, rows


def _both_ways(args, subject, calls, leaves, numbers, rows):
    """:func:`_compare` of functions without arguments, forward and with the gradients of ``leaves``."""

    def forward(call):
        with torch.no_grad():
            call()

    def both(call):
        torch.autograd.grad(call().sum(), leaves)

    for label, run in (('forward', forward), ('forward_backward', both)):
        runs = {name: functools.partial(run, call) for name, call in calls.items()}
        _compare(args, subject, label, runs, numbers, rows)


def _compare(args, subject, label, runs, numbers, rows):
    """Adds numbers and rows of times and of the most memory that is alive at once."""
    title = f'{subject}, {label.replace("_", " + ")}'
    numbers.update(compare(subject, label, paired_times(title, runs, args.rounds, args.device, warmup=1)))
    peaks = {name: peak_extra_mib(run, args.device) for name, run in runs.items()}
    numbers.update({f'{subject}.{label}_peak_extra_mib.{name}': peak for name, peak in peaks.items()})
    rows += variant_rows(numbers, subject, label, runs)
    rows.append((f'{label.replace("_", " + ")}, extra MiB', *(f'{peak:.4g}' for peak in peaks.values())))


def _cameras(image_size):
    """One sample and frame of :func:`make_batch`, without augmentation, and with cameras of different angles."""
    batch = make_batch(
        batch_size=1, num_frames=1, num_cams=_CAMS, image_size=image_size, stride=16, point_cloud_range=_RANGE,
        num_boxes=0, num_points=0, augment=False,
    )  # fmt: skip
    intrins = batch['intrins'].clone()
    intrins[..., 0, 0] = intrins[..., 1, 1] = torch.tensor(_FOCALS)
    return dict(batch, intrins=intrins)


def _attention_inputs(device, sizes):
    """(attention, query, tokens, shapes, pairs) of one sample."""
    grid = BEVGrid.from_range(_RANGE, sizes.cells, sizes.cells)
    projection = frame_projection(_cameras(sizes.padded_size), 0).to(device)
    pairs = find_visible(pillar_points(grid, (-5.0, 3.0), 4, device), projection, sizes.padded_size)
    shapes = [tuple(-(-side // (sizes.stride << level)) for side in sizes.padded_size) for level in range(4)]
    module = SpatialCrossAttention(sizes.dims, num_levels=4, dropout=0.0)
    initialise(module)
    nn.init.normal_(module.deformable_attention.sampling_offsets.weight, std=0.02)
    tokens = torch.randn(_CAMS, sum(h * w for h, w in shapes), sizes.dims, device=device, requires_grad=True)
    query = torch.randn(1, sizes.cells**2, sizes.dims, device=device, requires_grad=True)
    return module.to(device), query, tokens, shapes, pairs


def _padded_loop(module, query, tokens, shapes, pairs):
    """The published algorithm for one sample: every camera gets as many queries as the one that sees most cells."""
    inner, cameras = module.deformable_attention, len(tokens)
    cells = [pairs.cell[pairs.image == camera] for camera in range(cameras)]
    longest = max(map(len, cells))
    padded = query.new_zeros(cameras, longest, query.shape[2])
    points = query.new_zeros(cameras, longest, *pairs.points.shape[1:])
    for camera, seen in enumerate(cells):
        padded[camera, : len(seen)] = query[0, seen]
        points[camera, : len(seen)] = pairs.points[pairs.image == camera]
    shape = (cameras, longest, inner.num_heads, inner.num_levels, inner.num_points)
    weights = inner.attention_weights(padded).view(*shape[:3], -1).softmax(-1).view(shape)
    offsets = inner.sampling_offsets(padded).view(*shape[:4], -1, points.shape[2], 2)
    sizes = offsets.new_tensor([[width, height] for height, width in shapes]).view(-1, 1, 1, 2)
    locations = (points[:, :, None, None, None] + offsets / sizes).view(*shape, 2)
    value = inner.value_proj(tokens).unflatten(-1, (inner.num_heads, -1))
    read = _mmcv_sampling(value, shapes, locations, weights)
    slots = torch.zeros_like(query[0])
    for camera, seen in enumerate(cells):
        slots = slots.index_add(0, seen, read[camera, : len(seen)])
    return query + module.dropout(module.output_proj(slots * pairs.share))


def _mmcv_sampling(value, shapes, locations, weights):
    if not value.is_cuda:
        return multi_scale_deformable_attn_pytorch(value, shapes, locations, weights)
    sizes = torch.tensor(shapes, device=value.device)
    starts = torch.nn.functional.pad(sizes.prod(1).cumsum(0)[:-1], (1, 0))
    return MultiScaleDeformableAttnFunction.apply(value, sizes, starts, locations, weights, len(value))


def _small_bevformer(sizes):
    """ResNet-18 and two levels."""
    dims, cells = sizes.history_dims, (sizes.history_cells, sizes.history_cells)
    model = BEVFormer(
        img_backbone=dict(type='ResNet', depth=18, out_indices=(2, 3), norm_eval=False),
        img_neck=dict(type='FPN', in_channels=[256, 512], out_channels=dims, num_outs=2),
        bev_encoder=dict(
            type='BEVFormerEncoder', point_cloud_range=_RANGE, bev_size=cells, embed_dims=dims, num_layers=sizes.layers,
            num_levels=2, feedforward_channels=2 * dims,
        ),
        pts_bbox_head=dict(type='NoHead'),
    )  # fmt: skip
    initialise(model)
    return model


def _queue(device, sizes):
    """One sample of four frames of a standing car."""
    batch = _cameras(sizes.image_size)
    keys = ('img', 'intrins', 'post_rots', 'post_trans', 'cam2lidar', 'frame2cur')
    queue = {key: batch[key].expand(1, 4, *batch[key].shape[2:]) for key in keys}
    queue.update(can_bus=torch.zeros(1, 4, 18), has_prev=torch.tensor([[True, True, True, False]]))
    return {key: value.to(device) for key, value in dict(queue, bev_aug=batch['bev_aug']).items()}
