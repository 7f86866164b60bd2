import pytest
import torch
from helpers.bev import level

from mmdet3d_plugin.structures import BEVFeatures, BEVGrid, BEVLevel


def _features():
    maps = {name: torch.full((1, 2, 4, 4), float(i)) for i, name in enumerate(['encoder0', 'encoder5', 'bev'])}
    return BEVFeatures(maps, head_input='encoder5')


def test_level_by_name():
    bev = _features()
    assert bev.level('encoder0') is bev.levels['encoder0'] and bev.level('bev') is bev.levels['bev']
    assert bev.head_map is bev.levels['encoder5']
    assert bev.private == {}


@pytest.mark.parametrize('name', ['backbone3', 'neck', 'encoder', ''])
def test_unknown_level_lists_the_names(name):
    with pytest.raises(ValueError, match='encoder0, encoder5, bev'):
        _features().level(name)
    with pytest.raises(ValueError, match='encoder0, encoder5, bev'):
        BEVFeatures(_features().levels, head_input=name)


def test_a_level_knows_its_size_and_place():
    small = level(3, 4, 5)
    assert small.shape == (3, 4, 5) and (small.height, small.width) == (4, 5)
    assert str(small) == '3@4x5'
    larger = small.resized(7, 8, 10)
    assert larger == level(7, 8, 10) and small.resized(7) == level(7, 4, 5)
    assert larger.grid.covers_same(small.grid) and larger.grid != small.grid
    assert not small.grid.covers_same(level(3, 4, 5, extent=(-12.8, -12.8, -5, 12.8, 12.9, 3)).grid)
    assert small.grid.covers_same(level(3, 4, 5, extent=(-12.8, -12.8, -1, 12.8, 12.80001, 1)).grid)
    assert small.grid.extent == (-12.8, -12.8, 12.8, 12.8) and small.grid.size == (4, 5)
    assert BEVLevel.from_range((-12.8, -12.8, -5, 12.8, 12.8, 3), 3, 4, 5) == small


def test_grid_cells_and_centres_of_a_non_square_grid():
    grid = BEVGrid.from_range((-4, -2, -5, 4, 2, 3), height=2, width=8)
    assert (grid.cell_x, grid.cell_y, grid.cell_area) == (1.0, 2.0, 2.0)
    centers = grid.centers()
    assert centers.shape == (2, 8, 2)
    torch.testing.assert_close(centers[0, 0], torch.tensor([-3.5, -1.0]))
    torch.testing.assert_close(centers[1, 7], torch.tensor([3.5, 1.0]))
    torch.testing.assert_close(centers[0, 1] - centers[0, 0], torch.tensor([1.0, 0.0]))


@pytest.mark.parametrize('bad', [dict(x_max=-1.0), dict(height=0)])
def test_empty_grid_is_an_error(bad):
    values = dict(x_min=0.0, y_min=0.0, x_max=1.0, y_max=1.0, height=2, width=2)
    with pytest.raises(ValueError, match='positive extent'):
        BEVGrid(**{**values, **bad})
