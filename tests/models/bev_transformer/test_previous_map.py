import math

import pytest
import torch
import torch.nn.functional as F
from helpers.bevformer import EGO_AXES

from mmdet3d_plugin.models.bev_transformer.previous_map import ALIGNMENTS, Motion, turn_nearest
from mmdet3d_plugin.structures import BEVGrid
from mmdet3d_plugin.synthetic.random_batch import planar_motion

GRID = BEVGrid(-51.2, -51.2, 51.2, 51.2, 128, 128)
BEV_AUGS = {'none': dict(), 'turned and scaled': dict(yaw=0.3, scale=1.05), 'mirrored': dict(yaw=-0.2, flip_x=True)}


def _labelled(height, width):
    return torch.arange(1.0, height * width + 1).view(1, 1, height, width)


def _turn_slowly(bev, degrees):
    """Cell by cell from the formula; None where a source lies between cells, where rounding decides."""
    height, width = bev.shape[-2:]
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    rows = []
    for row in range(height):
        for column in range(width):
            x, y = column + 0.5 - width / 2, row + 0.5 - height / 2
            source = (width / 2 + cos * x - sin * y - 0.5, height / 2 + sin * x + cos * y - 0.5)
            if any(abs(part % 1 - 0.5) < 1e-4 for part in source):
                rows.append(math.nan)
                continue
            column_from, row_from = (round(part) for part in source)
            inside = 0 <= column_from < width and 0 <= row_from < height
            rows.append(bev[0, 0, row_from, column_from].item() if inside else 0.0)
    return torch.tensor(rows).view(height, width)


@pytest.mark.parametrize('size', [(6, 6), (5, 5), (7, 5)])
@pytest.mark.parametrize('degrees', [90.0, -7.0, 33.0, 200.0])
def test_turning_follows_the_formula(size, degrees):
    bev = _labelled(*size)
    found, expected = turn_nearest(bev, torch.tensor([degrees]))[0, 0], _turn_slowly(bev, degrees)
    sure = expected.isfinite()
    assert sure.float().mean() > 0.4
    assert torch.equal(found[sure], expected[sure])


def test_a_quarter_turn_by_hand():
    """Row 0 is at the bottom: the cell right of the centre takes what lies above it."""
    bev = _labelled(3, 3)[0, 0]
    turned = turn_nearest(bev[None, None], torch.tensor([90.0]))[0, 0]
    assert turned[1, 2] == bev[2, 1] and turned[2, 1] == bev[1, 0] and turned[1, 1] == bev[1, 1]


@pytest.mark.parametrize('size', [(4, 4), (5, 3)])
def test_no_turn_is_the_identity_and_each_sample_has_its_own(size):
    bev = torch.randn(2, 3, *size)
    assert torch.equal(turn_nearest(bev, torch.zeros(2)), bev)
    both = turn_nearest(bev, torch.tensor([0.0, 180.0]))
    assert torch.equal(both[0], bev[0]) and torch.equal(both[1], bev[1].flip(1, 2))


def _world(places):
    """(..., 2) global metres -> (3, ...) smooth features of amplitude about 1.5."""
    x, y = (places / 8).unbind(-1)
    return torch.stack([1.5 * torch.sin(x + 0.3 * y), 1.5 * torch.cos(0.8 * y), torch.sin(x) + 0.5 * torch.cos(y - x)])


def _seen_from(lidar2global, bev_aug):
    """(1, 3, H, W) map of the world around a pose, in the augmented frame."""
    to_world = lidar2global @ torch.linalg.inv(bev_aug)
    centers = GRID.centers(dtype=torch.float64)
    return _world(centers @ to_world[:2, :2].T + to_world[:2, 3])[None].float()


def _scene(turn, bev_aug, psi=0.9):
    """Previous and current map of a static world, and the motion between them: 5 m ahead, ``turn`` degrees."""
    poses = [planar_motion(yaw=psi).double(), planar_motion(yaw=psi + math.radians(turn)).double()]
    middle = psi + math.radians(turn) / 2
    poses[1][:2, 3] = 5 * torch.tensor([math.cos(middle), math.sin(middle)], dtype=torch.float64)
    can_bus = torch.zeros(1, 18)
    can_bus[0, :3] = poses[1][:3, 3]
    can_bus[0, 16], can_bus[0, 17] = (psi + math.radians(turn)) % (2 * math.pi), turn
    previous, current = (pose @ torch.from_numpy(EGO_AXES) for pose in poses)
    prev2cur = bev_aug @ torch.linalg.inv(current) @ previous @ torch.linalg.inv(bev_aug)
    maps = _seen_from(previous, bev_aug), _seen_from(current, bev_aug)
    return *maps, Motion(prev2cur[None], can_bus, bev_aug[None].float())


def _error(alignment, previous, current, motion):
    """Mean difference of what a cell without offsets reads in the previous map to the current map, inner cells."""
    aligned = ALIGNMENTS[alignment](previous, torch.ones(1, dtype=torch.bool), motion, GRID)
    places = (GRID.centers() / 51.2 + 2 * aligned.shift)[None]
    read = F.grid_sample(aligned.bev, places, align_corners=False)
    return (read - current)[..., 32:-32, 32:-32].abs().mean().item()


@pytest.mark.parametrize('aug', BEV_AUGS.values(), ids=BEV_AUGS)
@pytest.mark.parametrize('turn', [-20.0, 3.0, 12.0, 20.0])
def test_a_static_world_lines_up(turn, aug):
    previous, current, motion = _scene(turn, planar_motion(**aug).double())
    assert _error('warp', previous, current, motion) < 0.005
    assert _error('released', previous, current, motion) < 0.1
    still = motion._replace(prev2cur=torch.eye(4)[None], can_bus=torch.zeros(1, 18))
    assert _error('warp', previous, current, still) > 0.25
    wrong_turn, wrong_shift = motion.can_bus.clone(), motion.can_bus.clone()
    wrong_turn[:, 17] *= -1
    wrong_shift[:, :3] *= -1
    assert _error('released', previous, current, motion._replace(can_bus=wrong_shift)) > 0.25
    assert _error('released', previous, current, motion._replace(can_bus=wrong_turn)) > (0.1 if turn == 3 else 0.25)


@pytest.mark.parametrize('alignment', ALIGNMENTS)
def test_a_sample_without_predecessor_is_not_moved_and_needs_no_sense_in_its_motion(alignment):
    previous, _, motion = _scene(10.0, torch.eye(4).double())
    motion = Motion(*(torch.cat([part, part]) for part in motion))
    motion.prev2cur[1] = 0
    aligned = ALIGNMENTS[alignment](previous.repeat(2, 1, 1, 1), torch.tensor([True, False]), motion, GRID)
    assert not aligned.shift[1].any() and aligned.bev.isfinite().all()
    torch.testing.assert_close(aligned.bev[1], previous[0], atol=1e-4, rtol=0)
    assert aligned.shift[0].any() == (alignment == 'released')
