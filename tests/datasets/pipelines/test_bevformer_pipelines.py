"""The queue's pipelines end to end, on a generated set that turns."""

import numpy as np
import pytest
import torch
from helpers import nuscenes_batch

from dualdistill_runtime.ego_motion import yaw_of
from mmdet3d_plugin.datasets.pipelines.presets import bevformer_pipelines
from mmdet3d_plugin.synthetic import SyntheticConfig, generate

CAMERAS = ('CAM_FRONT', 'CAM_FRONT_RIGHT', 'CAM_FRONT_LEFT', 'CAM_BACK', 'CAM_BACK_LEFT', 'CAM_BACK_RIGHT')
KEYS = {
    *('img', 'intrins', 'post_rots', 'post_trans', 'cam2lidar', 'frame2cur', 'has_prev', 'can_bus', 'bev_aug'),
    'img_metas',
}


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    config = SyntheticConfig(
        scenes=2, keyframes=5, image_width=64, image_height=36, camera_sweep_hz=2, lidar_sweep_hz=4, lidar_beams=16,
        lidar_azimuth_steps=300, ego_turn=(20, 40), can_bus=0.5,
    )  # fmt: skip
    return generate(tmp_path_factory.mktemp('queue') / 'nuscenes', config, workers=1, progress=False)


@pytest.fixture(scope='module')
def infos(root, tmp_path_factory):
    tables = nuscenes_batch.load_tables(root)
    return nuscenes_batch.write_infos(tables, tmp_path_factory.mktemp('infos'), kind='base')


def pipelines(**options):
    fixed = dict(class_names=nuscenes_batch.CLASSES, point_cloud_range=nuscenes_batch.RANGE, cameras=CAMERAS)
    return bevformer_pipelines(**fixed, **options)


def sample(root, infos, index, split=0, **options):
    nuscenes_batch.seed_everything(0)
    dataset = nuscenes_batch.build(root, infos, pipelines(**options)[split], test_mode=split == 1)
    return nuscenes_batch.batch_of([dataset[index]])


def test_a_training_batch(root, infos):
    batch = sample(root, infos, 9, distortion={}, teacher_sweeps=3)
    assert set(batch) == {*KEYS, 'points', 'gt_bboxes_3d', 'gt_labels_3d'}
    shapes = dict(
        img=(1, 4, 6, 3, 64, 64), intrins=(1, 4, 6, 3, 3), post_rots=(1, 4, 6, 3, 3), post_trans=(1, 4, 6, 3),
        cam2lidar=(1, 4, 6, 4, 4), frame2cur=(1, 4, 4, 4), has_prev=(1, 4), can_bus=(1, 4, 18), bev_aug=(1, 4, 4),
    )  # fmt: skip
    for key, shape in shapes.items():
        assert batch[key].shape == shape
        assert batch[key].dtype == (torch.bool if key == 'has_prev' else torch.float32)
        assert torch.isfinite(batch[key].float()).all()
    assert torch.equal(batch['bev_aug'][0], torch.eye(4))
    assert batch['points'][0].shape[1] == 5 and len(batch['points'][0]) > 1000
    assert len(batch['gt_labels_3d'][0]) > 0
    meta = batch['img_metas'][0]
    assert len(meta['frame_tokens']) == 4 and [name.split('/')[-2] for name in meta['img_filenames'][0]] == [*CAMERAS]


def test_a_test_batch_is_one_frame_with_its_pose(root, infos):
    batch, again = (sample(root, infos, 9, split=1) for _ in range(2))
    assert set(batch) == KEYS
    assert batch['img'].shape == (1, 1, 6, 3, 64, 64) and torch.equal(batch['img'], again['img'])
    meta = batch['img_metas'][0]
    assert meta['ego2global'].shape == (1, 4, 4) and meta['lidar2ego'].shape == (4, 4)
    assert not batch['has_prev'].any() and not batch['can_bus'][0, 0, [0, 1, 2, 17]].any()


@pytest.mark.parametrize('source', ['can', 'poses', 'zeros'])
def test_the_speed_of_a_keyframe_is_the_same_in_training_and_at_test(root, infos, source):
    for index in (4, 9):  # a scene without CAN bus messages and one with them
        train, test = (
            sample(root, infos, index, split, motion=dict(motion_source=source))['can_bus'] for split in (0, 1)
        )
        assert torch.equal(train[0, 0, 3:17], test[0, 0, 3:17])
        assert (train[0, 0, 13] > 1) == (source != 'zeros')


def test_the_motion_vector_turns_and_moves_as_the_frames_do(root, infos):
    """Against ``frame2cur``, which comes from LiDAR poses: the turn is counter-clockwise, the car moves ahead."""
    batch = sample(root, infos, 9)
    frame2cur, can_bus = batch['frame2cur'][0].double().numpy(), batch['can_bus'][0].double().numpy()
    assert batch['has_prev'][0].tolist() == [True, True, True, False]
    for frame in range(3):
        previous = np.linalg.solve(frame2cur[frame], frame2cur[frame + 1])
        turned = -np.degrees(yaw_of(previous))
        assert abs(turned) > 8 and abs(turned - can_bus[frame, 17]) < 0.2  # the LiDAR is tilted by a degree
        ahead = np.array([np.cos(can_bus[frame, 16]), np.sin(can_bus[frame, 16])])
        assert can_bus[frame, :2] @ ahead == pytest.approx(-previous[1, 3], abs=0.5)  # it sits 0.9 m before the axle
        assert can_bus[frame, :2] @ ahead > 0.8


def test_augmentation_of_the_map_leaves_images_and_motion_alone(root, infos):
    plain = sample(root, infos, 9)
    turned = sample(root, infos, 9, bev_aug=dict(rot_range=(20, 20), flip_x_prob=1, flip_y_prob=0))
    for key in ('img', 'can_bus', 'cam2lidar', 'has_prev'):
        assert torch.equal(plain[key], turned[key])
    assert not torch.equal(plain['frame2cur'], turned['frame2cur'])
    assert not torch.equal(turned['bev_aug'][0], torch.eye(4))


def test_image_options_reach_the_images(root, infos):
    small = sample(root, infos, 3, split=1, image=dict(scale=0.5, to_rgb=True))
    assert small['img'].shape[-2:] == (32, 32)
    assert small['post_rots'][0, 0, 0, 0, 0] == 0.5
