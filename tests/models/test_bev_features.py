import pytest
import torch

from mmdet3d_plugin.models.bev_features import BEVFeatures, BEVGrid, BEVLevel, level_names


def _features():
    maps = [torch.full((1, 2, 4, 4), float(i)) for i in range(3)]
    return BEVFeatures(backbone=maps, neck=torch.full((1, 5, 8, 8), 9.0))


def test_level_by_name():
    bev = _features()
    assert bev.level('backbone0') is bev.backbone[0]
    assert bev.level('backbone2') is bev.backbone[2]
    assert bev.level('head') is bev.neck
    assert bev.depth_logits is None


@pytest.mark.parametrize('name', ['backbone3', 'neck', 'backbone-1', ''])
def test_unknown_level_lists_the_names(name):
    with pytest.raises(ValueError, match='backbone0, backbone1, backbone2, head'):
        _features().level(name)


def test_level_names_and_shape():
    assert level_names(2) == ['backbone0', 'backbone1', 'head']
    level = BEVLevel(channels=3, height=4, width=5)
    assert level.shape == (3, 4, 5)
    assert str(level) == '3@4x5'


def test_grid_cells_and_centres_of_a_non_square_grid():
    grid = BEVGrid.from_range((-4, -2, -5, 4, 2, 3), BEVLevel(channels=1, height=2, width=8))
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
