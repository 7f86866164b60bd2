import pytest
import torch

from mmdet3d_plugin.models.view_transforms.temporal_align import align_bev
from mmdet3d_plugin.structures import BEVGrid
from mmdet3d_plugin.synthetic.random_batch import planar_motion

GRID = BEVGrid(x_min=-32.0, y_min=-24.0, x_max=32.0, y_max=24.0, height=60, width=80)
# At least 12 m from each other and from every border the motions below bring near.
WORLD = torch.tensor([[9.3, 1.7, 0.0], [-10.1, 5.2, 0.0], [1.4, -9.6, 0.0], [-6.8, -8.1, 0.0], [2.9, 11.3, 0.0]])


def _move(matrix, points):
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def _paint(points, sigma=1.6):
    """One channel per point: a Gaussian (sigma in metres) sampled at the cell centres, (1, P, H, W)."""
    squared = (GRID.centers(dtype=torch.float64) - points[:, None, None, :2]).square().sum(-1)
    return torch.exp(-squared / (2 * sigma**2))[None]


def _centroids(maps):
    """(P, 2) centre of mass of each channel, metres."""
    weight = maps[0].flatten(1)
    return weight @ GRID.centers(dtype=maps.dtype).view(-1, 2) / weight.sum(1, keepdim=True)


MOTIONS = {
    'still': dict(),
    'forward': dict(shift=(-2.7, 0.0, 0.0)),
    'turning': dict(yaw=0.35, shift=(-1.3, 0.6, 0.0)),
    'half turn': dict(yaw=3.0, shift=(0.4, 0.2, 0.1)),
}
BEV_AUGS = {
    'none': dict(),
    'rotated': dict(yaw=0.39),
    'scaled and flipped': dict(yaw=-0.3, scale=1.05, flip_x=True),
    'flipped twice': dict(scale=0.95, flip_x=True, flip_y=True),
}


@pytest.mark.parametrize('motion', MOTIONS.values(), ids=MOTIONS)
@pytest.mark.parametrize('aug', BEV_AUGS.values(), ids=BEV_AUGS)
def test_a_static_world_lines_up(motion, aug):
    """Both frames see the same points; the previous map, aligned, must peak where the current one does."""
    prev2cur, bev_aug = planar_motion(**motion).double(), planar_motion(**aug).double()
    in_previous = _move(torch.linalg.inv(prev2cur), WORLD.double())
    previous = _paint(_move(bev_aug, in_previous))
    current = _paint(_move(bev_aug, WORLD.double()))
    frame2cur = bev_aug @ prev2cur @ torch.linalg.inv(bev_aug)
    aligned = align_bev(previous.float(), frame2cur[None].float(), GRID).double()
    error = (_centroids(aligned) - _centroids(current)).abs() / torch.tensor([GRID.cell_x, GRID.cell_y])
    assert error.max() < 0.05
    # reading between cells flattens a peak of sigma cells by up to 1 / (4 sigma^2); sigma is 2 cells
    assert (aligned - current).abs().max() < 0.07
    if motion:
        assert (previous - current).abs().max() > 0.5, 'the test must notice a missing alignment'


def test_identity_changes_nothing():
    bev = torch.randn(2, 3, GRID.height, GRID.width)
    torch.testing.assert_close(align_bev(bev, torch.eye(4).repeat(2, 1, 1), GRID), bev, atol=1e-4, rtol=0)


def test_whole_cell_motion_is_a_shift_and_the_uncovered_rim_is_zero():
    bev = torch.randn(1, 2, GRID.height, GRID.width)
    frame2cur = planar_motion(shift=(2 * GRID.cell_x, -GRID.cell_y, 0.0))[None]
    aligned = align_bev(bev, frame2cur, GRID)
    torch.testing.assert_close(aligned[:, :, :-1, 2:], bev[:, :, 1:, :-2], atol=1e-4, rtol=0)
    assert aligned[:, :, :, :2].abs().max() < 1e-4 and aligned[:, :, -1].abs().max() < 1e-4


def test_each_sample_has_its_own_motion():
    bev = torch.randn(1, 1, GRID.height, GRID.width).repeat(2, 1, 1, 1)
    frame2cur = torch.stack([torch.eye(4), planar_motion(shift=(GRID.cell_x, 0.0, 0.0))])
    aligned = align_bev(bev, frame2cur, GRID)
    torch.testing.assert_close(aligned[0], bev[0], atol=1e-4, rtol=0)
    torch.testing.assert_close(aligned[1, :, :, 1:], bev[1, :, :, :-1], atol=1e-4, rtol=0)


def test_half_precision_maps_are_sampled_at_exact_places():
    bev = torch.randn(1, 2, GRID.height, GRID.width)
    frame2cur = planar_motion(yaw=0.2, shift=(1.1, 0.3, 0.0))[None]
    half = align_bev(bev.half(), frame2cur, GRID)
    assert half.dtype == torch.float16
    torch.testing.assert_close(half, align_bev(bev.half().float(), frame2cur, GRID).half())


def test_a_map_of_another_size_is_an_error():
    with pytest.raises(ValueError, match=r'\(80, 60\) cells'):
        align_bev(torch.zeros(1, 1, 80, 60), torch.eye(4)[None], GRID)
