"""Reference algorithms that the project's operators are measured against, written from their papers' descriptions."""

import numpy as np
import torch


def frustum_volume(depth, context):
    """The product volume, (B * N * D * h * w, C), of depth (B, N, D, h, w) and context (B, N, C, h, w)."""
    volume = depth.unsqueeze(-1) * context.permute(0, 1, 3, 4, 2).unsqueeze(2)
    return volume.reshape(-1, context.shape[2])


class _CumulativeSum(torch.autograd.Function):
    """Sum of runs of equal cells as differences of the running sum (LSS, arXiv 2008.05711, section 3.2)."""

    @staticmethod
    def forward(ctx, values, cells):
        last = torch.ones_like(cells, dtype=torch.bool)
        last[:-1] = cells[1:] != cells[:-1]
        totals = values.cumsum(0)[last]
        ctx.save_for_backward(last)
        return torch.cat([totals[:1], totals[1:] - totals[:-1]]), cells[last]

    @staticmethod
    def backward(ctx, grad, _):
        (last,) = ctx.saved_tensors
        run = last.cumsum(0)
        run[last] -= 1
        return grad[run], None


def pool_by_cumulative_sum(depth, context, plan):
    """LSS: build the volume, bring it into cell order, running sum, differences; (B, C, H, W)."""
    values = frustum_volume(depth, context)[plan.points[: len(plan.cells)].long()]
    sums, cells = _CumulativeSum.apply(values, plan.cells)
    out = values.new_zeros(len(plan.cell_starts) - 1, values.shape[1]).index_put((cells,), sums)
    return _as_map(out, plan)


def pool_by_index_add(depth, context, plan):
    """Build the volume, add every kept point to its cell; (B, C, H, W)."""
    values = frustum_volume(depth, context)[plan.points[: len(plan.cells)].long()]
    out = values.new_zeros(len(plan.cell_starts) - 1, values.shape[1]).index_add(0, plan.cells, values)
    return _as_map(out, plan)


def pool_by_intervals(depth, context, plan):
    """BEVFusion (arXiv 2205.13542): build the volume, one kernel sums the interval of each cell; (B, C, H, W)."""
    values = frustum_volume(depth, context)[plan.points[: len(plan.cells)].long()]
    out = torch.segment_reduce(values, 'sum', offsets=plan.cell_starts.long(), axis=0, initial=0)
    return _as_map(out, plan)


def _as_map(cells, plan):
    return cells.view(plan.frustum_shape[0], *plan.bev_size, -1).permute(0, 3, 1, 2).contiguous()


def regions_by_sample(boxes, grid):
    """Foreground mask (B, H, W) bool and size scale (B, H, W) float32, sample by sample, box by box, in numpy."""
    cols, rows = np.meshgrid(np.arange(grid.width), np.arange(grid.height))
    points = np.stack([cols.ravel() + 0.5, rows.ravel() + 0.5], axis=1) * (grid.cell_x, grid.cell_y)
    points = (points + (grid.x_min, grid.y_min)).astype(np.float32)
    masks = np.zeros((len(boxes), len(points)), dtype=bool)
    scales = np.zeros((len(boxes), len(points)), dtype=np.float32)
    for sample, sample_boxes in enumerate(boxes):
        for box in sample_boxes.tensor.numpy()[::-1]:  # backwards: the first box has the last word
            inside = _points_in_box(points, box)
            masks[sample] |= inside
            scales[sample, inside] = 1 / np.sqrt(box[3] * box[4] / grid.cell_area)
    shape = (len(boxes), grid.height, grid.width)
    return masks.reshape(shape), scales.reshape(shape)


def _points_in_box(points, box):
    cos, sin = np.cos(box[6]), np.sin(box[6])
    local = (points - box[:2]) @ np.array([[cos, -sin], [sin, cos]], dtype=np.float32)
    return (np.abs(local) <= box[3:5] / 2).all(axis=1)


def align_after_upsampling(aligner, feature):
    """The released order of AOA's last two steps: upsample, then project every cell of the teacher's map."""
    return aligner.projection(aligner.resize(aligner.attention(feature)))
