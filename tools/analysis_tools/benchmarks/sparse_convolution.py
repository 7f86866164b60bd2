"""``benchmark.py sparse``: rulebook and sparse convolution against plain torch, on voxels as a LiDAR makes them."""

import functools
import math
import os
from dataclasses import dataclass, replace
from unittest import mock

import torch

from mmdet3d_plugin.ops.backend import ENVIRONMENT_VARIABLE
from mmdet3d_plugin.ops.sparse_conv import SparseConv3d, SparseTensor, SubMConv3d

from .timing import paired_times, peak_extra_mib
from .variants import check_equal, compare, variant_rows

_LOW, _CELL = (-51.2, -51.2, -5.0), (0.064, 0.064, 0.2)


@dataclass(frozen=True)
class Sizes:
    """What is measured; by default the first stage of a LidarFormer.

    Attributes:
        voxels: of one sample, at most.
        shape: (z, y, x) cells of the grid.
        channels: of the voxels, and of the strided convolution's outputs.
        azimuths, sweeps: of the 32-beam scanner that makes the voxels.
    """

    voxels: int = 90_000
    shape: tuple = (41, 1600, 1600)
    channels: tuple = (16, 32)
    azimuths: int = 1086
    sweeps: int = 5


TINY = Sizes(voxels=300, channels=(4, 8), azimuths=20, sweeps=1)


def measure(args):
    """(numbers by name, e.g. 'submanifold.forward_ratio_vs_torch'; tables by name)."""
    sizes = TINY if args.tiny else Sizes()
    inputs, outputs = sizes.channels
    layers = dict(
        submanifold=SubMConv3d(inputs, inputs, 3, bias=False),
        strided=SparseConv3d(inputs, outputs, 3, stride=2, padding=1, bias=False),
    )
    numbers, tables = dict(tiny=args.tiny), {}
    coords = scan(sizes).to(args.device)
    features = torch.randn(len(coords), inputs, device=args.device)
    for name, layer in layers.items():
        more, tables[name] = _one_layer(args, sizes, name, layer.to(args.device), features, coords)
        numbers.update(more, voxels=len(coords))
    return numbers, tables


def _one_layer(args, sizes, name, layer, features, coords):
    """(numbers, rows) of a layer: its rulebook, then its forward and backward pass with the rulebook found."""

    def voxels():
        return SparseTensor.of(features, coords, sizes.shape, 1)

    def rulebook():
        return replace(sites).rulebook(layer.window, name == 'submanifold')  # a copy knows none yet

    def forward(x):
        with torch.no_grad():
            return layer(x)

    def both(x):
        leaf = x.features.detach().requires_grad_()
        torch.autograd.grad(layer(x.with_features(leaf)).features.sum(), (leaf, layer.weight))

    sites, searched = voxels().sites, {variant: voxels() for variant in _VARIANTS}
    results = {variant: _in_order(_run(variant, forward, x)) for variant, x in searched.items()}
    numbers = {f'{name}.max_difference': check_equal(results, 1e-4)}
    found = _run('torch', rulebook)
    numbers.update({f'{name}.pairs': len(found.sources), f'{name}.outputs': found.rows})
    rows = [(f'{name} convolution, {len(coords)} voxels, {len(found.sources)} pairs', *_VARIANTS)]
    runs = dict(rulebook={variant: functools.partial(_run, variant, rulebook) for variant in _VARIANTS})
    for label, function in (('forward', forward), ('forward_backward', both)):
        runs[label] = {variant: functools.partial(_run, variant, function, x) for variant, x in searched.items()}
    for label, variants in runs.items():
        times = paired_times(f'{name}, {label}', variants, args.rounds, args.device)
        numbers.update(compare(name, label, times))
        rows += variant_rows(numbers, name, label, variants)
        peaks = {variant: peak_extra_mib(function, args.device) for variant, function in variants.items()}
        numbers.update({f'{name}.{label}_peak_extra_mib.{variant}': peak for variant, peak in peaks.items()})
        rows.append((f'{label.replace("_", " + ")}, extra MiB', *(f'{peak:.4g}' for peak in peaks.values())))
    return numbers, rows


_VARIANTS = ('kernels', 'torch')


def _in_order(x):
    """Features by voxel: mmcv's kernels keep no order."""
    return x.features[torch.argsort(x.sites.linear_index())]


def _run(variant, function, *args):
    """Call with the kernels of the device, or with plain torch."""
    with mock.patch.dict(os.environ):
        os.environ.pop(ENVIRONMENT_VARIABLE, None)
        if variant == 'torch':
            os.environ[ENVIRONMENT_VARIABLE] = 'reference'
        return function(*args)


def scan(sizes, seed=0):
    """(V, 4) int32 voxels of a 32-beam scanner that drives along a street: ground, house fronts, 2 cm of noise."""
    generator = torch.Generator().manual_seed(seed)
    elevation = torch.linspace(-30.67, 10.67, 32).mul(math.pi / 180)[:, None]
    azimuth = torch.arange(sizes.azimuths) * (2 * math.pi / sizes.azimuths)
    fronts = 4 + 50 * torch.rand(40, generator=generator)
    wall = fronts[(azimuth / (2 * math.pi) * 40).long()]
    ground = torch.where(elevation < 0, 1.84 / torch.tan(-elevation).clamp(min=1e-3), math.inf)
    clouds = []
    for sweep in range(sizes.sweeps):
        reach = torch.minimum(ground, wall) + 0.02 * torch.randn(32, sizes.azimuths, generator=generator)
        height = reach * torch.tan(elevation)
        clouds.append(torch.stack([reach * azimuth.cos(), reach * azimuth.sin() - 0.5 * sweep, height], dim=-1))
    cells = torch.floor((torch.cat(clouds).view(-1, 3) - torch.tensor(_LOW)) / torch.tensor(_CELL)).int().flip(1)
    cells = torch.unique(cells[((cells >= 0) & (cells < torch.tensor(sizes.shape))).all(dim=1)], dim=0)
    kept = torch.randperm(len(cells), generator=generator)[: sizes.voxels]
    return torch.nn.functional.pad(cells[kept], (1, 0))
