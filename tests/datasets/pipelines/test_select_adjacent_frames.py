"""Which previous frame is taken, and where its cameras stood."""

import random

import numpy as np
import pytest
from pyquaternion import Quaternion

from mmdet3d_plugin.datasets.pipelines import NUSCENES_CAMERAS, SelectAdjacentFrames

START_US = 1_600_000_000_000_000
INTERVAL_US = 250_000


def _pose(rng, spread):
    return list(rng.normal(size=3) * spread), list(Quaternion(axis=rng.normal(size=3), angle=rng.uniform(-3, 3)))


def _camera(rng, timestamp, mount):
    translation, rotation = _pose(rng, 3.0)
    return dict(
        data_path=f'{timestamp}.jpg',
        timestamp=timestamp,
        cam_intrinsic=np.array([[400.0 + mount, 0, 200], [0, 400, 112], [0, 0, 1]]),
        sensor2ego_translation=[0.1 * mount, 0.2, 1.5],
        sensor2ego_rotation=list(Quaternion(axis=[0.2, 1.0, mount], angle=1.0 + mount)),
        ego2global_translation=[1000 + translation[0], 2000 + translation[1], translation[2]],
        ego2global_rotation=rotation,
    )


def _cams(rng, timestamp):
    # each camera has a time and an ego pose of its own
    return {name: _camera(rng, timestamp + 1000 * i, i) for i, name in enumerate(sorted(NUSCENES_CAMERAS))}


def _sample(num_prev, seed=0):
    rng = np.random.default_rng(seed)
    ego2global = np.eye(4)
    ego2global[:3, :3] = Quaternion(axis=[0, 0.1, 1], angle=0.7).rotation_matrix
    ego2global[:3, 3] = [1001.0, 2002.0, 3.0]
    lidar2ego = np.eye(4)
    lidar2ego[:3, :3] = Quaternion(axis=[0, 0, 1], angle=-1.57).rotation_matrix
    lidar2ego[:3, 3] = [0.9, 0.0, 1.8]
    prev = [
        dict(timestamp=START_US - INTERVAL_US * (i + 1), cams=_cams(rng, START_US - INTERVAL_US * (i + 1)))
        for i in range(num_prev)
    ]
    return dict(sample_idx='token', cams=_cams(rng, START_US), prev=prev, lidar2ego=lidar2ego, ego2global=ego2global)


def _chosen_index(results, num_prev):
    stamp = results['frames'][1][0]['timestamp'] - results['frames'][0][0]['timestamp']
    return -stamp // INTERVAL_US - 1 if num_prev else None


@pytest.mark.parametrize('num_prev, expected', [(20, {2, 3, 4, 5, 6, 7, 8}), (6, {2, 3, 4, 5}), (3, {2}), (2, {1})])
def test_training_draws_between_the_bounds_and_falls_back_to_the_last(num_prev, expected):
    step = SelectAdjacentFrames()
    seen = {_chosen_index(step(_sample(num_prev)), num_prev) for _ in range(100)}
    assert seen == expected


@pytest.mark.parametrize('num_prev, expected', [(20, 5), (6, 5), (5, 4), (1, 0)])
def test_testing_takes_one_index(num_prev, expected):
    results = SelectAdjacentFrames(test_mode=True)(_sample(num_prev))
    assert _chosen_index(results, num_prev) == expected
    assert results['frame_dt'] == pytest.approx(0.25 * (expected + 1))


def test_without_a_previous_frame_the_current_one_stands_twice():
    results = SelectAdjacentFrames()(_sample(0))
    assert results['frame_dt'] == 1 / 12
    assert results['frames'][1] == results['frames'][0]
    np.testing.assert_array_equal(results['frame2cur'][1], np.eye(4))
    np.testing.assert_array_equal(results['cam2lidar'][1], results['cam2lidar'][0])


def test_camera_order_is_the_configured_one():
    names = ('CAM_BACK', 'CAM_FRONT')
    sample = _sample(4)
    results = SelectAdjacentFrames(cameras=names)(sample)
    assert [camera['data_path'] for camera in results['frames'][0]] == [sample['cams'][n]['data_path'] for n in names]
    np.testing.assert_array_equal(results['intrins'][0, 0], sample['cams']['CAM_BACK']['cam_intrinsic'])
    assert results['intrins'].shape == (2, 2, 3, 3) and results['cam2lidar'].shape == (2, 2, 4, 4)


def _point_to_global(camera, point):
    """Camera -> ego -> global by quaternion arithmetic alone."""
    ego = Quaternion(camera['sensor2ego_rotation']).rotate(point) + np.array(camera['sensor2ego_translation'])
    return Quaternion(camera['ego2global_rotation']).rotate(ego) + np.array(camera['ego2global_translation'])


def test_every_camera_puts_a_world_point_in_the_same_place():
    """A static point seen by any camera of either frame comes out at one place of the current LiDAR frame."""
    sample = _sample(6)
    results = SelectAdjacentFrames(test_mode=True)(sample)
    lidar2global = sample['ego2global'] @ sample['lidar2ego']
    for frame in range(2):
        for index, camera in enumerate(results['frames'][frame]):
            point = np.array([0.5, -1.0, 8.0])
            expected = np.linalg.inv(lidar2global) @ np.append(_point_to_global(camera, point), 1)
            got = results['frame2cur'][frame] @ results['cam2lidar'][frame, index] @ np.append(point, 1)
            np.testing.assert_allclose(got, expected, atol=1e-8)


def test_the_previous_reference_is_the_lidar_mount_at_the_reference_cameras_pose():
    sample = _sample(6)
    results = SelectAdjacentFrames(test_mode=True)(sample)
    front = results['frames'][1][NUSCENES_CAMERAS.index('CAM_FRONT')]
    # a camera that shares that ego pose is placed by its mount alone
    sensor2ego = np.eye(4)
    sensor2ego[:3, :3] = Quaternion(front['sensor2ego_rotation']).rotation_matrix
    sensor2ego[:3, 3] = front['sensor2ego_translation']
    got = results['cam2lidar'][1, NUSCENES_CAMERAS.index('CAM_FRONT')]
    np.testing.assert_allclose(got, np.linalg.inv(sample['lidar2ego']) @ sensor2ego, atol=1e-9)


def test_the_draw_follows_the_seed():
    def draws():
        random.seed(3)
        step = SelectAdjacentFrames()
        return [_chosen_index(step(_sample(20)), 20) for _ in range(10)]

    assert draws() == draws()


def _indices(results):
    now = results['frames'][0][0]['timestamp']
    return [(now - frame[0]['timestamp']) // INTERVAL_US - 1 for frame in results['frames'][1:]]


def test_several_previous_frames_are_different_ones_newest_first():
    seen = set()
    for _ in range(60):
        results = SelectAdjacentFrames(num_previous=3, test_index=(1, 3, 5))(_sample(20))
        indices = _indices(results)
        assert len(indices) == 3 and indices == sorted(set(indices))
        assert results['frame_dt'] == pytest.approx(0.25 * (indices[0] + 1))
        seen.update(indices)
    assert seen == set(range(2, 9))
    for key, shape in dict(intrins=(3, 3), cam2lidar=(4, 4)).items():
        assert results[key].shape == (4, 6, *shape)
    assert results['frame2cur'].shape == (4, 4, 4)


def test_several_previous_frames_at_test():
    step = SelectAdjacentFrames(num_previous=2, test_index=[1, 5], test_mode=True)
    assert _indices(step(_sample(20))) == [1, 5]
    assert _indices(step(_sample(3))) == [1, 2]  # the oldest there is
    alone = step(_sample(0))
    assert alone['frames'][1:] == [alone['frames'][0]] * 2 and alone['frame_dt'] == 1 / 12
    np.testing.assert_array_equal(alone['frame2cur'], np.stack([np.eye(4)] * 3))


def test_each_of_several_frames_is_where_it_is_alone():
    both = SelectAdjacentFrames(num_previous=2, test_index=(1, 5), test_mode=True)(_sample(20))
    for position, index in ((1, 1), (2, 5)):
        alone = SelectAdjacentFrames(test_index=index, test_mode=True)(_sample(20))
        for key in ('cam2lidar', 'frame2cur', 'intrins'):
            np.testing.assert_array_equal(both[key][position], alone[key][1])


def test_one_draw_is_the_draw_of_earlier_versions():
    """Runs that go on with a new version see the frames that the old one would have drawn."""
    random.seed(11)
    expected = [random.randrange(2, 9) for _ in range(40)]
    random.seed(11)
    assert [_indices(SelectAdjacentFrames()(_sample(20)))[0] for _ in range(40)] == expected


def test_errors_name_the_sample_and_the_fix():
    sample = _sample(3)
    del sample['cams']['CAM_BACK']
    with pytest.raises(KeyError, match="token has no camera 'CAM_BACK'"):
        SelectAdjacentFrames()(sample)
    sample = _sample(3)
    for frame in sample['prev']:
        frame['cams']['CAM_FRONT']['timestamp'] = START_US + 10**6
    with pytest.raises(ValueError, match='sample token.*not older'):
        SelectAdjacentFrames()(sample)
    with pytest.raises(ValueError, match='min_index=5, max_index=5'):
        SelectAdjacentFrames(min_index=5, max_index=5)
    with pytest.raises(ValueError, match='test_index'):
        SelectAdjacentFrames(test_index=-1)
    for options in (dict(num_previous=8), dict(num_previous=0)):
        with pytest.raises(ValueError, match=f'num_previous={options["num_previous"]} .* the 7 indices'):
            SelectAdjacentFrames(**options)
    for options in (dict(num_previous=2), dict(num_previous=2, test_index=[3, 1]), dict(test_index=[1, 2])):
        with pytest.raises(ValueError, match='num_previous=. needs as many values of test_index'):
            SelectAdjacentFrames(**options)
