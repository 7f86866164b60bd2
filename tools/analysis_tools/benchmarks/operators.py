"""``benchmark.py ops``: BEV pooling, regions and AOA's projection against the algorithms of :mod:`.peers`."""

import functools
from dataclasses import dataclass

import torch

from mmdet3d_plugin.distill.regions import build_regions
from mmdet3d_plugin.models.view_transforms.geometry import CameraGeometry, build_frustum, locate_frustum
from mmdet3d_plugin.ops.bev_pool import BEVPoolPlan, bev_pool, select_backend
from mmdet3d_plugin.structures import BEVGrid, BEVLevel
from mmdet3d_plugin.synthetic.random_batch import make_batch, random_boxes

from . import peers
from .projection_order import projection_order
from .timing import paired_times, peak_extra_mib, summary
from .variants import check_equal, compare, variant_rows

_RANGE = (-51.2, -51.2, -5.0, 51.2, 51.2, 3.0)
_Z_RANGE = (-10.0, 10.0)
_POOLS = dict(
    fused=bev_pool,
    cumsum=peers.pool_by_cumulative_sum,
    index_add=peers.pool_by_index_add,
    intervals=peers.pool_by_intervals,
)


@dataclass(frozen=True)
class Sizes:
    """What is measured; by default the sizes of the R50 256x704 student.

    Attributes:
        image_size: (H, W), pixels; the feature stride is 16.
        depth_bound: (first, end, step), metres.
        num_cams, channels, cells: cameras, context channels, BEV cells along each axis.
        batch_size, num_boxes, region_cells: of the regions; boxes a sample, cells of each level along each axis.
        student, teacher: the two levels of the aligner.
        copy_mib: size of the copy that measures the memory's speed.
    """

    image_size: tuple = (256, 704)
    depth_bound: tuple = (1.0, 60.0, 1.0)
    num_cams: int = 6
    channels: int = 64
    cells: int = 128
    batch_size: int = 8
    num_boxes: int = 40
    region_cells: tuple = (128, 64, 128)
    student: BEVLevel = BEVLevel.from_range(_RANGE, 256, 32, 32)
    teacher: BEVLevel = BEVLevel.from_range(_RANGE, 128, 128, 128)
    copy_mib: int = 256


TINY = Sizes(
    image_size=(32, 48), depth_bound=(1.0, 31.0, 2.0), num_cams=2, channels=4, cells=16, batch_size=2, num_boxes=3,
    region_cells=(16, 8), student=BEVLevel.from_range(_RANGE, 16, 4, 4),
    teacher=BEVLevel.from_range(_RANGE, 8, 16, 16), copy_mib=1,
)  # fmt: skip


def measure(args):
    """(numbers by name, e.g. 'bev_pool.forward_ratio_vs_cumsum'; tables by name) of all operators."""
    sizes = TINY if args.tiny else Sizes()
    numbers, tables = dict(tiny=args.tiny), {}
    for part in (bev_pooling, regions, projection_order):
        more, rows = part(args.rounds, args.device, sizes)
        numbers.update(more)
        tables[part.__name__] = rows
    return numbers, tables


def bev_pooling(rounds, device, sizes):
    """One sample. Every variant starts from a finished plan, the peers from its order of points too."""
    make_plan, depth, context, grad = _pooling_inputs(device, sizes)
    plan = make_plan()
    numbers = {'bev_pool.points_in_cells': len(plan.cells), 'bev_pool.backend': select_backend(device)}
    numbers.update(_differences(depth, context, plan))

    def forward(pool):
        with torch.no_grad():
            pool(depth, context, plan)

    def both(pool):
        torch.autograd.grad(pool(depth, context, plan), (depth, context), grad)

    rows = [('BEV pooling', *_POOLS)]
    for label, run in (('forward', forward), ('forward_backward', both)):
        runs = {name: functools.partial(run, pool) for name, pool in _POOLS.items()}
        numbers.update(compare('bev_pool', label, paired_times(f'BEV pooling, {label}', runs, rounds, device)))
        rows += variant_rows(numbers, 'bev_pool', label, _POOLS)
        peaks = {name: peak_extra_mib(function, device) for name, function in runs.items()}
        numbers.update({f'bev_pool.{label}_peak_extra_mib.{name}': peak for name, peak in peaks.items()})
        rows.append((f'{label.replace("_", " + ")}, extra MiB', *(f'{peak:.4g}' for peak in peaks.values())))
    runs = dict(plan=make_plan, copy=_copy(device, sizes))
    times = paired_times('BEV pooling, plan and memory', runs, rounds, device)
    numbers.update({f'bev_pool.plan.{key}': value for key, value in summary(times['plan']).items()})
    rows.append(('plan (once a step), ms', f'{numbers["bev_pool.plan.median_ms"]:.2f}', *[''] * (len(_POOLS) - 1)))
    differences = (f'{numbers[f"bev_pool.max_difference.{name}"]:.0e}' for name in _POOLS)
    rows.append(('largest difference to sums in float64', *differences))
    speeds = _speeds(numbers, times['copy'], (depth, context, plan, grad), sizes)
    rows.append(('forward, GB/s', f'{speeds["bev_pool.forward_gb_per_s"]:.1f}', *[''] * (len(_POOLS) - 1)))
    rows.append(('copy of memory, GB/s', f'{speeds["copy_gb_per_s"]:.1f}', *[''] * (len(_POOLS) - 1)))
    return {**numbers, **speeds}, rows


def _pooling_inputs(device, sizes):
    """(function that makes the plan, depth, context, gradient of the output)."""
    batch = make_batch(
        batch_size=1, num_frames=1, num_cams=sizes.num_cams, image_size=sizes.image_size, stride=16,
        point_cloud_range=_RANGE, num_boxes=0, num_points=0, augment=False,
    )  # fmt: skip
    frustum = build_frustum(sizes.image_size, 16, sizes.depth_bound, 'center')
    locations = locate_frustum(*frustum, CameraGeometry.of_frame(batch, 0)).float().to(device)
    grid = BEVGrid.from_range(_RANGE, sizes.cells, sizes.cells)
    *batch_and_cams, _, height, width = shape = locations.shape[:-1]
    depth = torch.randn(shape, device=device).softmax(2).requires_grad_()
    context = torch.randn(*batch_and_cams, sizes.channels, height, width, device=device, requires_grad=True)
    grad = torch.randn(1, sizes.channels, sizes.cells, sizes.cells, device=device)
    return functools.partial(BEVPoolPlan.from_geometry, locations, grid, _Z_RANGE), depth, context, grad


@torch.no_grad()
def _differences(depth, context, plan):
    """Largest difference of each variant to sums in float64; a running sum over all points loses digits."""
    exact = peers.pool_by_index_add(depth.double(), context.double(), plan).float()
    found = {}
    for name, pool in _POOLS.items():
        tolerance = 1e-2 if name == 'cumsum' else 1e-4
        found[f'bev_pool.max_difference.{name}'] = check_equal(
            dict(exact=exact, pooled=pool(depth, context, plan)), tolerance
        )
    return found


def _copy(device, sizes):
    source = torch.zeros(sizes.copy_mib << 18, device=device)
    return functools.partial(torch.empty_like(source).copy_, source)


def _speeds(numbers, copy_seconds, tensors, sizes):
    """Bytes that must move (inputs and lists read once, output written once) and those of a copy, by the time."""
    depth, context, plan, output = tensors  # the output's gradient has its size
    needed = sum(t.nbytes for t in (depth, context, output, plan.cell_starts)) + 8 * len(plan.cells)
    return {
        'bev_pool.forward_gb_per_s': needed / numbers['bev_pool.forward.fused.median_ms'] / 1e6,
        'copy_gb_per_s': 2 * (sizes.copy_mib << 20) / summary(copy_seconds)['median_ms'] / 1e6,
    }


def regions(rounds, device, sizes):
    """Masks and scales of all levels of a batch; boxes are on the CPU, as in training."""
    grids = [BEVGrid.from_range(_RANGE, cells, cells) for cells in sizes.region_cells]
    boxes = [random_boxes(sizes.num_boxes, _RANGE[3])[0] for _ in range(sizes.batch_size)]
    mask, _ = peers.regions_by_sample(boxes, grids[0])
    disagree = (build_regions(boxes, grids[0]).fg != torch.from_numpy(mask)).float().mean().item()
    if disagree > 1e-4:  # a cell centre on a box's edge may round either way
        raise RuntimeError(f'regions differ from the reference in a share of {disagree:.1e} of the cells')
    runs = dict(
        batched=lambda: [build_regions(boxes, grid, device=device) for grid in grids],
        numpy=lambda: [peers.regions_by_sample(boxes, grid) for grid in grids],
    )
    numbers = compare('regions', 'time', paired_times('regions', runs, rounds, device))
    return numbers, [('regions', *runs), *variant_rows(numbers, 'regions', 'time', runs)]
