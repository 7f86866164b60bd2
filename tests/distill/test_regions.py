"""Regions against hand-computed cells and an independent per-cell reference."""

import math

import pytest
import torch
from mmdet3d.core.bbox import LiDARInstance3DBoxes

from mmdet3d_plugin.distill.regions import (
    RegionRules,
    build_regions,
    cell_coordinates,
    cells_in_boxes,
    false_positive_cells,
    pad_boxes,
)
from mmdet3d_plugin.structures import BEVGrid

GRID = BEVGrid(x_min=0.0, y_min=0.0, x_max=8.0, y_max=6.0, height=6, width=8)  # 1 m cells, rows = y


def box(x, y, length, width, yaw=0.0):
    return [x, y, 0.0, length, width, 1.5, yaw, 0.0, 0.0]


def boxes(*rows):
    return torch.tensor(rows) if rows else torch.zeros(0, 9)


def cells(mask):
    """Set of (row, col) of a 2-D mask."""
    return {tuple(cell) for cell in mask.nonzero().tolist()}


def reference_owner(rows, grid, anchor):
    """Owner of each cell, one cell and one box at a time, through the box corners (another formula)."""
    shift = 0.5 if anchor == 'center' else 0.0
    owner = torch.full((grid.height, grid.width), -1)
    for i in range(grid.height):
        for j in range(grid.width):
            x = grid.x_min + (j + shift) * (grid.x_max - grid.x_min) / grid.width
            y = grid.y_min + (i + shift) * (grid.y_max - grid.y_min) / grid.height
            for k, (cx, cy, _, length, width, _, yaw, *_) in enumerate(rows):
                signs = [(1, 1), (-1, 1), (-1, -1), (1, -1)]  # counter-clockwise
                corners = [
                    (
                        cx + math.cos(yaw) * s * length / 2 - math.sin(yaw) * t * width / 2,
                        cy + math.sin(yaw) * s * length / 2 + math.cos(yaw) * t * width / 2,
                    )
                    for s, t in signs
                ]
                left_of_all = True
                for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1]):
                    left_of_all &= (bx - ax) * (y - ay) - (by - ay) * (x - ax) >= 0
                if left_of_all:
                    owner[i, j] = k
                    break
    return owner


def test_axis_aligned_box_covers_hand_counted_cells():
    """x in [2, 5], y in [1, 3]: centres 2.5, 3.5, 4.5 by 1.5, 2.5. x runs along columns, y along rows."""
    regions = build_regions([boxes(box(3.5, 2.0, 3.0, 2.0))], GRID)
    assert cells(regions.fg[0]) == {(i, j) for i in (1, 2) for j in (2, 3, 4)}
    assert regions.fg_scale[0, 1, 2].item() == pytest.approx(1 / math.sqrt(6.0))
    assert regions.fg_scale[0, 0, 0] == 0
    assert regions.bg_scale[0].item() == pytest.approx(1 / (48 - 6))
    assert regions.fp_scale[0] == 0


def test_corner_anchor_takes_the_lower_corner_of_a_cell():
    """Corners at integers: x in [2, 5] holds 2, 3, 4, 5 and y in [1, 3] holds 1, 2, 3 (edges included)."""
    regions = build_regions([boxes(box(3.5, 2.0, 3.0, 2.0))], GRID, RegionRules(cell_anchor='corner'))
    assert cells(regions.fg[0]) == {(i, j) for i in (1, 2, 3) for j in (2, 3, 4, 5)}


def test_quarter_turn_swaps_length_and_width():
    regions = build_regions([boxes(box(3.5, 2.5, 3.0, 1.0, math.pi / 2))], GRID)
    assert cells(regions.fg[0]) == {(1, 3), (2, 3), (3, 3)}


def test_yaw_is_counter_clockwise():
    """A thin box along +45 degrees covers the rising diagonal (row and column grow together)."""
    regions = build_regions([boxes(box(3.5, 3.5, 3.2, 0.4, math.pi / 4))], GRID)
    assert cells(regions.fg[0]) == {(2, 2), (3, 3), (4, 4)}


def test_first_box_wins_an_overlap_and_gives_its_scale():
    big, small = box(4.0, 3.0, 6.0, 4.0), box(3.5, 2.5, 1.0, 1.0)
    first_big = build_regions([boxes(big, small)], GRID)
    first_small = build_regions([boxes(small, big)], GRID)
    assert first_big.owner[0, 2, 3] == 0 and first_small.owner[0, 2, 3] == 0
    assert first_big.fg_scale[0, 2, 3].item() == pytest.approx(1 / math.sqrt(24.0))
    assert first_small.fg_scale[0, 2, 3].item() == pytest.approx(1.0)
    assert first_small.owner[0, 2, 4] == 1
    assert torch.equal(first_big.fg, first_small.fg)


def test_scale_counts_cells_not_metres():
    fine = BEVGrid(x_min=0.0, y_min=0.0, x_max=8.0, y_max=6.0, height=24, width=16)  # 0.5 x 0.25 m cells
    regions = build_regions([boxes(box(3.5, 2.0, 3.0, 2.0))], fine)
    assert regions.fg_scale.max().item() == pytest.approx(1 / math.sqrt(6.0 / 0.125))


@pytest.mark.parametrize('anchor', ['center', 'corner'])
def test_random_rotated_boxes_match_the_reference(anchor):
    grid = BEVGrid(x_min=-8.0, y_min=-6.0, x_max=8.0, y_max=6.0, height=15, width=21)
    generator = torch.Generator().manual_seed(3)
    batch = []
    for count in (5, 0, 9):
        values = torch.rand(count, 9, generator=generator)
        values[:, 0] = values[:, 0] * 20 - 10  # some reach out of the map
        values[:, 1] = values[:, 1] * 14 - 7
        values[:, 3:5] = values[:, 3:5] * 5 + 0.2
        values[:, 6] = values[:, 6] * 14 - 7
        batch.append(values)
    rectangles, valid = pad_boxes(batch)
    owner = cells_in_boxes(rectangles, valid, grid, anchor)
    for sample, rows in zip(owner, batch):
        assert torch.equal(sample, reference_owner(rows.tolist(), grid, anchor))
    assert (owner[1] == -1).all() and (owner[2] >= 0).any()


@pytest.mark.parametrize('empty', [torch.zeros(0, 9), torch.zeros(0, 7)])
def test_no_boxes_is_all_background(empty):
    regions = build_regions([empty, empty], GRID)
    assert not regions.fg.any() and not regions.fp.any() and regions.bg.all()
    assert torch.allclose(regions.bg_scale, torch.full((2,), 1 / 48))
    assert torch.isfinite(regions.fg_scale).all() and not regions.fg_scale.any()


def test_box_over_the_whole_map_leaves_no_background():
    regions = build_regions([boxes(box(4.0, 3.0, 20.0, 20.0))], GRID)
    assert regions.fg.all() and regions.bg_scale[0] == 0
    assert torch.isfinite(regions.combined_scale()).all()


def test_padding_and_flat_boxes_cover_nothing():
    """A padded slot is a zero-size box at (0, 0); neither it nor a real box without area owns the origin's cell."""
    centred = BEVGrid(x_min=-1.5, y_min=-1.5, x_max=1.5, y_max=1.5, height=3, width=3)
    regions = build_regions([boxes(box(0.0, 0.0, 0.0, 2.0)), boxes(*[box(9, 9, 1, 1)] * 3)], centred)
    assert not regions.fg.any() and torch.isfinite(regions.fg_scale).all()


def test_lidar_boxes_are_accepted():
    tensor = boxes(box(3.5, 2.0, 3.0, 2.0, 0.3))
    wrapped = LiDARInstance3DBoxes(tensor, box_dim=9)
    assert torch.equal(build_regions([wrapped], GRID).fg, build_regions([tensor], GRID).fg)


def test_false_positives_need_teacher_without_target_outside_boxes():
    fg = torch.zeros(1, 1, 5, dtype=torch.bool)
    fg[0, 0, 0] = True
    gt = torch.tensor([[[0.0, 0.0, 0.5, 0.05, 0.1]]])
    teacher = torch.tensor([[[0.9, 0.9, 0.9, 0.05, 0.9]]])
    fp = false_positive_cells(fg, gt, teacher, RegionRules(fp_threshold=0.1))
    assert fp.tolist() == [[[False, True, False, False, False]]]
    # as released: the cell inside a box fires as well, because its target is low
    fp = false_positive_cells(fg, gt, teacher, RegionRules(fp_overlap='released'))
    assert fp.tolist() == [[[True, True, False, False, False]]]
    assert not false_positive_cells(fg, gt, teacher, RegionRules(fp_threshold=0.95, fp_overlap='released')).any()


def test_counts_and_scales_are_per_sample():
    gt = torch.zeros(2, 6, 8)
    teacher = torch.zeros(2, 6, 8)
    teacher[0, 0, :4] = 0.8  # four false positives in the first sample
    teacher[0, 2, 3] = 0.8  # inside the box: foreground stays foreground
    samples = [boxes(box(3.5, 2.5, 1.0, 1.0)), boxes()]
    regions = build_regions(samples, GRID, target=gt, teacher=teacher)
    assert regions.fp[0].sum() == 4 and regions.fg[0].sum() == 1 and regions.bg[0].sum() == 43
    assert torch.allclose(regions.fp_scale, torch.tensor([0.25, 0.0]))
    assert torch.allclose(regions.bg_scale, torch.tensor([1 / 43, 1 / 48]))
    together = regions.fg.int() + regions.fp.int() + regions.bg.int()
    assert (together == 1).all()


def test_released_regions_overlap_and_count_false_positives_as_background():
    gt, teacher = torch.zeros(1, 6, 8), torch.zeros(1, 6, 8)
    teacher[0, 0, :4] = 0.8
    teacher[0, 2, 3] = 0.8  # inside the box
    regions = build_regions(
        [boxes(box(3.5, 2.5, 1.0, 1.0))], GRID, RegionRules(fp_overlap='released'), target=gt, teacher=teacher
    )
    assert cells(regions.fg[0]) == {(2, 3)} and cells(regions.fp[0]) == {(0, 0), (0, 1), (0, 2), (0, 3), (2, 3)}
    assert regions.fp_scale[0].item() == pytest.approx(1 / 5)
    assert regions.bg[0].sum() == 48 - 1 - 4 and regions.bg_scale[0].item() == pytest.approx(1 / (48 - 1))


def test_combined_scale_is_the_larger_one():
    """One background cell: its scale 1 exceeds the box's 1 / sqrt(12 * 12) on foreground cells too."""
    grid = BEVGrid(x_min=0.0, y_min=0.0, x_max=2.0, y_max=1.0, height=1, width=2)
    regions = build_regions([boxes(box(-5.5, 0.5, 13.0, 12.0))], grid)
    assert regions.fg[0].tolist() == [[True, False]]
    scaled = regions.scaled_masks()
    assert scaled['fg'][0].tolist() == [[1.0, 0.0]] and scaled['bg'][0].tolist() == [[0.0, 1.0]]


def test_bad_input_is_named():
    with pytest.raises(ValueError, match='cell_anchor'):
        RegionRules(cell_anchor='middle')
    with pytest.raises(ValueError, match="fp_overlap must be one of .*'none', 'released'.*got 'all'"):
        RegionRules(fp_overlap='all')
    with pytest.raises(ValueError, match='both target and teacher'):
        build_regions([boxes()], GRID, target=torch.zeros(1, 6, 8))
    with pytest.raises(ValueError, match=r'teacher confidence is \(1, 3, 4\), the level needs \(1, 6, 8\)'):
        build_regions([boxes()], GRID, target=torch.zeros(1, 6, 8), teacher=torch.zeros(1, 3, 4))


def test_boxes_of_every_size_and_place_match_every_pair_of_box_and_cell():
    """Larger and smaller than the map, outside it, off its edges: against all cells of all boxes."""
    grid = BEVGrid(x_min=-10.0, y_min=-7.0, x_max=10.0, y_max=7.0, height=35, width=40)
    rows = torch.zeros(60, 9)
    rows[:, :2] = (torch.rand(60, 2) - 0.5) * torch.tensor([40.0, 30.0])
    rows[:, 3:5] = torch.exp(torch.randn(60, 2) * 1.5)
    rows[:, 6] = (torch.rand(60) - 0.5) * 12
    rows[0, 3:5], rows[1, 6], rows[2, 0] = 500.0, float('nan'), float('inf')
    xs, ys = cell_coordinates(grid, 'center')
    dx, dy = xs - rows[:, 0, None], ys - rows[:, 1, None]
    cos, sin = rows[:, 6].cos()[:, None], rows[:, 6].sin()[:, None]
    along = (dx * cos)[:, None, :] + (dy * sin)[:, :, None]
    across = (dy * cos)[:, :, None] - (dx * sin)[:, None, :]
    inside = (along.abs() <= rows[:, 3, None, None] / 2) & (across.abs() <= rows[:, 4, None, None] / 2)
    for order in (torch.arange(60), torch.arange(60).flip(0)):  # the huge box first, then last
        first = torch.where(inside[order].any(0), inside[order].int().argmax(0), -1)
        owner = cells_in_boxes(*pad_boxes([rows[order], rows[:0]]), grid)
        assert torch.equal(owner[0], first) and (owner[1] == -1).all()
        assert len(first.unique()) > 1 or order[0] == 0
