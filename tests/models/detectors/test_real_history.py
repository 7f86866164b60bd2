"""The map of the real keyframe before, as a detector brings it into the current one, lies on the current one's.

The networks are stood in for by pictures of what stands still in each keyframe, drawn from the LiDAR points that the
devkit's records place. What is left are the models' own ways from batch to moved map. Between two keyframes of
scene-0103 the car drives 10 cells; a picture that is moved right is off by less than half a cell.
"""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import nuscenes_batch
from helpers.bevformer import toy_bevformer_cfg
from helpers.real_scene import draw, keyframes_of, lidar_to_global, move, offset, standing_points
from helpers.toy_models import toy_bevdepth_cfg, toy_head_cfg
from mmcv import ConfigDict
from mmdet3d.models import build_model

from mmdet3d_plugin.models.detectors.bevformer import BEVFORMER_CAMERAS
from mmdet3d_plugin.structures import BEVGrid

RANGE, CELL = (-25.6, -25.6, -5.0, 25.6, 25.6, 3.0), 0.4
GRID = BEVGrid.from_range(RANGE, 128, 128)
RIGHT, WRONG = 0.5, 2.0  # cells: a match is below the first, a mistake above the second
FIXED = dict(rot_range=(30, 30), scale_range=(1.05, 1.05), flip_x_prob=1.0, flip_y_prob=0.0)
AUGMENTATIONS = {'as measured': dict(test_mode=True), 'turned, mirrored, scaled': FIXED}
GEOMETRY = ['intrins', 'cam2lidar', 'frame2cur', 'bev_aug']


@pytest.fixture(scope='module')
def world(real_keyframes, tmp_path_factory):
    """(tables, info file in which every earlier frame is the keyframe before)."""
    nusc = nuscenes_batch.load_tables(real_keyframes)
    folder = tmp_path_factory.mktemp('infos')
    return nusc, nuscenes_batch.write_infos(nusc, folder, scenes=('scene-0103',), interval=1)


def batch_without_images(world, indices, steps, bev_aug, keys):
    """Collated samples with black images of 64 x 176 px, and where the pixels of the whole images are in them."""
    nusc, ann_file = world
    pipeline = [*steps, dict(type='GlobalBEVAug', **bev_aug), dict(type='FormatBEVInputs', keys=[*GEOMETRY, *keys])]
    dataset = nuscenes_batch.build(nusc.dataroot, ann_file, pipeline, test_mode=True)
    batch = nuscenes_batch.batch_of([dataset[index] for index in indices])
    shape = batch['cam2lidar'].shape[:3]
    resized = torch.diag(torch.tensor([0.11, 0.11, 1.0])).expand(*shape, 3, 3)
    return dict(batch, img=torch.zeros(*shape, 3, 64, 176), post_rots=resized, post_trans=torch.zeros(*shape, 3))


def pictures(world, indices, batch, reference='LIDAR_TOP'):
    """(B, 1, H, W) of keyframes of the scene, each in the augmented frame of its LiDAR when ``reference`` fired."""
    nusc, samples = world[0], keyframes_of(world[0])
    drawn = []
    for index, bev_aug in zip(indices, batch['bev_aug'].double().numpy()):
        sample = samples[index]
        to_reference = np.linalg.solve(lidar_to_global(nusc, sample, reference), lidar_to_global(nusc, sample))
        drawn.append(draw(move(bev_aug @ to_reference, standing_points(nusc, sample)), GRID))
    return torch.stack(drawn).unsqueeze(1)


def errors(moved, current):
    """(B,) cells by which moved maps (B, 1, H, W) are off."""
    return np.array([np.abs(offset(*pair)).max() for pair in zip(moved[:, 0], current[:, 0])])


@pytest.fixture
def bevdepth(monkeypatch):
    """Function: (batch, map of each frame in the order in which they are asked for) -> (current, previous) map."""
    model = build_model(ConfigDict(toy_bevdepth_cfg(range=RANGE, cell=CELL))).eval()

    def run(batch, maps):
        waiting = iter(maps)
        for part, forward in (
            (model.img_view_transformer, lambda feature, cameras: (next(waiting), None)),
            (model.pre_process_net, lambda bev: [bev]),
            (model.img_bev_encoder_backbone, lambda joined: [joined]),
            (model.img_bev_encoder_neck, lambda levels: levels[0]),
        ):
            monkeypatch.setattr(part, 'forward', forward)
        joined = model.extract_bev(batch).level('head')
        return joined[:, :1], joined[:, 1:]

    return run


@pytest.mark.parametrize('bev_aug', AUGMENTATIONS.values(), ids=AUGMENTATIONS)
def test_bevdepth4d(world, bevdepth, bev_aug):
    step = dict(type='SelectAdjacentFrames', test_mode=True, test_index=0)
    batch = batch_without_images(world, (1, 2, 3), [step], bev_aug, [])
    current, previous = pictures(world, (1, 2, 3), batch), pictures(world, (0, 1, 2), batch, 'CAM_FRONT')
    shown, moved = bevdepth(batch, [previous, current])
    assert torch.equal(shown, current) and errors(moved, current).max() < RIGHT
    inverse = dict(batch, frame2cur=torch.linalg.inv(batch['frame2cur']))
    assert errors(bevdepth(inverse, [previous, current])[1], current).min() > WRONG
    assert errors(bevdepth(batch, [current, previous])[1], previous).min() > WRONG, 'the frames in the wrong order'
    assert errors(previous, current).min() > WRONG, 'no motion'


@pytest.fixture
def bevformer(monkeypatch):
    """Function: (alignment, map of each frame in the order in which they are asked for) -> (model, list that fills with
    what the encoder is given of the frame before)."""

    def stand_in(alignment, maps):
        head, waiting, given = toy_head_cfg(16, range=RANGE, voxel=CELL / 4), iter(maps), []
        encoder = dict(point_cloud_range=RANGE, bev_size=GRID.size, num_cams=6, alignment=alignment)
        sections = {name: dict(pts=head.pop(name)) for name in ('train_cfg', 'test_cfg')}
        cfg = toy_bevformer_cfg(encoder, cameras=BEVFORMER_CAMERAS, pts_bbox_head=head, **sections)
        model = build_model(ConfigDict(cfg)).eval()

        def forward(features, pairs, can_bus=None, previous=None):
            given.append(None if previous is None else as_read(previous))
            return [next(waiting)]

        monkeypatch.setattr(model.bev_encoder, 'forward', forward)
        monkeypatch.setattr(model, 'detections', lambda bev, metas: [])
        return model, given

    return stand_in


def as_read(previous):
    """(B, C, H, W): the map of the frame before at every cell's place, with the shift that temporal attention adds."""
    span = torch.tensor([GRID.x_max - GRID.x_min, GRID.y_max - GRID.y_min])
    fractions = (GRID.centers() - torch.tensor([GRID.x_min, GRID.y_min])) / span
    places = 2 * (fractions + previous.shift.view(-1, 1, 1, 2)) - 1
    return F.grid_sample(previous.bev, places, align_corners=False)


MOTION = dict(type='LoadEgoMotion', motion_source='poses')


@pytest.mark.parametrize('alignment', ['warp', 'released'])
@pytest.mark.parametrize('bev_aug', AUGMENTATIONS.values(), ids=AUGMENTATIONS)
def test_bevformer_in_training(world, bevformer, bev_aug, alignment):
    """A queue of four keyframes: each frame is given the one before it."""
    steps = [dict(type='SelectKeyframeQueue', test_mode=True, cameras=BEVFORMER_CAMERAS), MOTION]
    batch = batch_without_images(world, (3,), steps, bev_aug, ['has_prev', 'can_bus'])
    oldest_first = [pictures(world, (index,), batch) for index in range(4)]

    def largest_and_smallest_error(batch, maps):
        model, given = bevformer(alignment, maps)
        model.extract_bev(batch)
        assert given[0] is None and len(given) == 4
        found = [errors(moved, current) for moved, current in zip(given[1:], maps[1:])]
        return max(found), min(found)

    assert largest_and_smallest_error(batch, oldest_first)[0] < RIGHT
    can_bus = batch['can_bus'].clone()
    can_bus[..., [0, 1, 17]] *= -1
    inverse = dict(batch, frame2cur=torch.linalg.inv(batch['frame2cur']), can_bus=can_bus)
    assert largest_and_smallest_error(inverse, oldest_first)[1] > WRONG
    assert largest_and_smallest_error(batch, oldest_first[::-1])[1] > WRONG, 'the frames in the wrong order'


@pytest.mark.parametrize('alignment', ['warp', 'released'])
def test_bevformer_at_test(world, bevformer, alignment):
    """One keyframe after the other, as remembered."""
    steps = [dict(type='SelectKeyframeQueue', test_mode=True, queue_length=1, cameras=BEVFORMER_CAMERAS), MOTION]
    keys, still = ['has_prev', 'can_bus'], dict(test_mode=True)
    batches = [batch_without_images(world, (index,), steps, still, keys) for index in range(4)]
    maps = [pictures(world, (index,), batch) for index, batch in enumerate(batches)]

    def all_errors(poses):
        model, given = bevformer(alignment, maps)
        for batch, pose in zip(batches, poses):
            metas = [dict(batch['img_metas'][0], ego2global=pose)]
            model(return_loss=False, rescale=True, **dict(batch, img_metas=metas))
        assert given[0] is None and len(given) == 4
        return [errors(moved, current).item() for moved, current in zip(given[1:], maps[1:])]

    poses = [batch['img_metas'][0]['ego2global'] for batch in batches]
    assert max(all_errors(poses)) < RIGHT
    assert min(all_errors(poses[::-1])) > WRONG, 'the poses in the wrong order'
