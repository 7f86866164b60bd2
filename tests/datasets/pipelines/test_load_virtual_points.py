"""Keyframe and sweeps with virtual points: frames, ages, missing files, augmentation, and the student's depth."""

import numpy as np
import pytest
import torch
from helpers import nuscenes_batch
from helpers.virtual_points import PAINTED, VIRTUAL, labelled
from mmdet3d.datasets.builder import PIPELINES

from mmdet3d_plugin.datasets.virtual_point_files import VirtualPoints, virtual_path, write_virtual_file
from mmdet3d_plugin.structures.virtual_points import FLAG_COLUMN, TIME_COLUMN

QUARTER_TURN = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])


@pytest.fixture
def sample(tmp_path):
    """A keyframe with a raw, a painted and a virtual point, and two sweeps of which the second has no virtual file."""
    files = {}
    for number, name in enumerate(('key', 'near', 'far')):
        path = tmp_path / 'LIDAR_TOP' / f'{name}.bin'
        path.parent.mkdir(exist_ok=True)
        raw = np.array([[10 + number, 2, 3, 40, 7]], dtype=np.float32)
        raw.tofile(path)
        if name != 'far':
            points = VirtualPoints(labelled(raw[:, :4], [2]), labelled(raw[:, :3] + 1, [2]))
            write_virtual_file(virtual_path(path), points)
        files[name] = str(path)
    sweeps = [
        dict(data_path=files['near'], timestamp=900_000, sensor2lidar_rotation=QUARTER_TURN,
             sensor2lidar_translation=np.array([0.0, 0, 5])),
        dict(data_path=files['far'], timestamp=800_000, sensor2lidar_rotation=np.eye(3),
             sensor2lidar_translation=np.zeros(3)),
    ]  # fmt: skip
    return dict(pts_filename=files['key'], sweeps=sweeps, timestamp=1.0)


def load(sample, **kwargs):
    for step in (dict(type='LoadVirtualPointsFromFile'), dict(type='LoadVirtualPointsFromMultiSweeps', **kwargs)):
        sample = PIPELINES.build(step)(sample)
    return sample['points'].tensor


@pytest.mark.filterwarnings('ignore:.*stay real-only')
def test_sweeps_move_into_the_keyframe_with_their_age(sample):
    points = load(sample, sweeps_num=2, test_mode=True)
    assert points.shape == (3 + 3 + 1, 17) and points.dtype == torch.float32
    xyz = [[10, 2, 3], [10, 2, 3], [11, 3, 4], [-2, 11, 8], [-2, 11, 8], [-3, 12, 9], [12, 2, 3]]
    torch.testing.assert_close(points[:, :3], torch.tensor(xyz, dtype=torch.float32))
    assert points[:, FLAG_COLUMN].tolist() == [1, 0, -1, 1, 0, -1, 1]
    assert points[:, 3].tolist() == [40, 40, -1, 40, 40, -1, 40]
    torch.testing.assert_close(points[:, TIME_COLUMN], torch.tensor([0, 0, 0, 0.1, 0.1, 0.1, 0.2]))


def test_no_sweeps_repeat_the_keyframe(sample):
    points = load(dict(sample, sweeps=[]), sweeps_num=2)
    assert len(points) == 9 and torch.equal(points[:3], points[6:]) and (points[:, TIME_COLUMN] == 0).all()


def test_sweep_points_close_to_the_sensor_go_whatever_their_kind(sample):
    near = sample['sweeps'][:1]
    raw = np.array([[0.5, -0.5, 3, 40, 7]], dtype=np.float32)
    raw.tofile(near[0]['data_path'])
    virtual = labelled(np.array([[0.9, 0.9, 0.0], [1.1, 0.9, 0.0]]), [0, 0])
    write_virtual_file(virtual_path(near[0]['data_path']), VirtualPoints(labelled(raw[:, :4], [0]), virtual))
    points = load(dict(sample, sweeps=near), sweeps_num=1)
    assert points[:, FLAG_COLUMN].tolist() == [1, 0, -1, -1]


@pytest.fixture(scope='module')
def infos(tiny_nuscenes, tmp_path_factory):
    return nuscenes_batch.write_infos(nuscenes_batch.load_tables(tiny_nuscenes), tmp_path_factory.mktemp('infos'))


def test_teacher_pipelines_deliver_17_numbers(virtual_nuscenes, infos):
    train, test = nuscenes_batch.teacher_pipelines(virtual_points=True, num_sweeps=3)
    for pipeline, test_mode in ((train, False), (test, True)):
        dataset = nuscenes_batch.build(virtual_nuscenes, infos, pipeline, test_mode=test_mode)
        points = dataset[len(dataset) - 1]['points'].data
        assert points.shape[1] == 17
        kinds = [(points[:, FLAG_COLUMN] == flag).sum().item() for flag in (1, 0, -1)]
        assert kinds[0] > 1000 and 0 < kinds[1] <= 3 * PAINTED and 0 < kinds[2] <= 3 * VIRTUAL
        assert len(points[:, TIME_COLUMN].unique()) == 3


def test_bev_augmentation_moves_virtual_points_with_the_boxes(virtual_nuscenes, infos):
    """Each virtual point lies 0.1 m above a raw one: so it does, scaled, after any turn, flip and scale."""
    pipeline = nuscenes_batch.teacher_pipelines(virtual_points=True, num_sweeps=1, bev_aug=dict(
        rot_range=(30, 30), scale_range=(1.1, 1.1), flip_x_prob=1.0, flip_y_prob=0.0))[0]  # fmt: skip
    sample = nuscenes_batch.build(virtual_nuscenes, infos, pipeline)[0]
    points = sample['points'].data
    raw, virtual = (points[points[:, FLAG_COLUMN] == flag][:, :3] for flag in (1, -1))
    assert len(virtual) > 10
    below = virtual - torch.tensor([0, 0, 0.11])
    distance = torch.cdist(below.double(), raw.double(), compute_mode='donot_use_mm_for_euclid_dist')
    assert distance.min(dim=1).values.max() < 1e-3


def test_distillation_adds_points_and_leaves_the_student_s_data(virtual_nuscenes, infos):
    """Depth supervision is what the LiDAR measured, with and without virtual points."""
    samples = []
    for virtual_points in (False, True):
        pipeline = nuscenes_batch.distill_pipelines(teacher_virtual_points=virtual_points)[0]
        nuscenes_batch.seed_everything(3)
        samples.append(nuscenes_batch.build(virtual_nuscenes, infos, pipeline)[2])
    plain, with_virtual = samples
    assert set(plain) == set(with_virtual)
    for key in ('img', 'gt_depth', 'bev_aug', 'cam2lidar'):
        assert torch.equal(plain[key].data, with_virtual[key].data), key
    raw = with_virtual['points'].data[with_virtual['points'].data[:, FLAG_COLUMN] == 1]
    torch.testing.assert_close(raw[:, [0, 1, 2, 3, TIME_COLUMN]], plain['points'].data)
