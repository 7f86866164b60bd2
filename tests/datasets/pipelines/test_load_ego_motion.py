"""The motion vector by hand: what moved since the frame before, across the x axis, without a frame before."""

import copy

import numpy as np
import pytest
from helpers.ego_scenes import START, circle, scene_of, write_can_bus

from dualdistill_runtime.ego_motion import GRAVITY, motion_from_poses
from mmdet3d_plugin.datasets.pipelines import LoadEgoMotion

SECONDS = (0.0, 0.5, 1.0, 1.5, 2.0)


def queue(frames, has_prev, root='nowhere', sign=1, **road):
    """Item with the frames at these seconds, current first."""
    poses = [circle(s, **road) for s in SECONDS]
    return dict(
        frame_times=np.array([START + s for s in frames]),
        ego2global=np.stack([circle(s, **road) for s in frames]),
        has_prev=np.array(has_prev),
        scene_poses=scene_of(poses, SECONDS, sign=sign),
        data_root=str(root),
    )


def vector(frames, has_prev, source='poses', quaternion='full', wrap_yaw=True, **options):
    step = LoadEgoMotion(motion_source=source, quaternion=quaternion, wrap_yaw=wrap_yaw)
    return step(queue(frames, has_prev, **options))['can_bus']


def test_deltas_are_against_the_frame_before_in_the_queue():
    """One frame in between was dropped: the second difference spans a second."""
    found = vector((2.0, 1.5, 0.5), (True, True, False))
    poses = [circle(s)[:3, 3] for s in (2.0, 1.5, 0.5)]
    np.testing.assert_allclose(found[:, :3], [poses[0] - poses[1], poses[1] - poses[2], [0, 0, 0]], atol=1e-9)
    np.testing.assert_allclose(found[:, 17], np.degrees([0.4 * 0.5, 0.4 * 1.0, 0]), atol=1e-9)
    np.testing.assert_allclose(found[:, 16], 0.3 + 0.4 * np.array([2.0, 1.5, 0.5]), atol=1e-12)
    assert found.shape == (3, 18) and found.dtype == np.float64


@pytest.mark.parametrize('has_prev', [(False, True), (False, False), (True, True)])
def test_without_a_frame_before_nothing_has_moved(has_prev):
    found = vector((1.0, 0.5), has_prev)
    assert (found[0, [0, 1, 17]] != 0).all() == has_prev[0]
    np.testing.assert_array_equal(found[1, [0, 1, 2, 17]], 0)  # the oldest has none in the queue
    assert (found[:, 16] != 0).all() and (found[:, 13] != 0).all()  # absolute numbers stay


def test_a_frame_twice_has_not_moved():
    found = vector((0.0, 0.0, 0.0), (False, False, False))
    np.testing.assert_array_equal(found[:, [0, 1, 2, 17]], 0)
    np.testing.assert_array_equal(found[0], found[2])


@pytest.mark.parametrize('rate, wrapped', [(0.4, 0.2), (-0.4, -0.2)])
def test_turning_across_the_x_axis(rate, wrapped):
    """The heading passes 0: yaw is in [0, 2 pi), the turn is a small angle unless it is asked for as released."""
    road = dict(yaw0=-0.1 * np.sign(rate), rate=rate)
    found = vector((0.5, 0.0), (True, False), **road)
    np.testing.assert_allclose(np.sort(found[:, 16]), [0.1, 2 * np.pi - 0.1], atol=1e-12)
    np.testing.assert_allclose(found[0, 17], np.degrees(wrapped), atol=1e-9)
    released = vector((0.5, 0.0), (True, False), wrap_yaw=False, **road)
    np.testing.assert_allclose(released[0, 17], np.degrees(wrapped) - np.sign(rate) * 360, atol=1e-9)
    np.testing.assert_array_equal(np.delete(released, 17, 1), np.delete(found, 17, 1))


def test_half_a_turn_is_plus_180():
    step = LoadEgoMotion('zeros')
    np.testing.assert_allclose(step._turn(np.array([180.0, -180.0, 181.0, 359.0, -359.0])), [180, 180, -179, -1, 1])


def test_quaternions():
    yaw = 0.3 + 0.4 * 1.0
    full = vector((1.0,), (False,), sign=-1)[0, 3:7]
    np.testing.assert_allclose(full, [np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)], atol=1e-12)
    released = vector((1.0,), (False,), quaternion='w', sign=-1)[0, 3:7]
    np.testing.assert_allclose(released, [-np.cos(yaw / 2)] * 4, atol=1e-12)  # the sign of the tables


def test_motion_from_poses_is_that_of_the_scene_whatever_the_queue():
    poses = np.stack([circle(s) for s in SECONDS])
    expected = motion_from_poses(np.array(SECONDS), poses)[[4, 1]]
    np.testing.assert_allclose(vector((2.0, 0.5), (True, False))[:, 7:16], expected, atol=1e-6)
    np.testing.assert_allclose(vector((2.0,), (False,))[0, 7:16], expected[0], atol=1e-6)
    assert expected[0, 2] == GRAVITY
    assert not vector((2.0, 0.5), (True, False), source='zeros')[:, 7:16].any()


def test_can_bus_where_there_is_one_and_poses_elsewhere(tmp_path):
    (tmp_path / 'can_bus').mkdir()
    step = LoadEgoMotion('can')
    item = queue((1.0, 0.5), (True, False), tmp_path)
    without = step(dict(item))
    assert without['motion_source'] == ['poses', 'poses']
    np.testing.assert_array_equal(without['can_bus'], LoadEgoMotion('poses')(dict(item))['can_bus'])
    write_can_bus(tmp_path, (START + 0.5 + np.array([0, 0.02, 0.49, 0.51])) * 1e6)
    found = step(dict(item))
    assert found['motion_source'] == ['can', 'can']
    np.testing.assert_allclose(found['can_bus'][:, 7:16], [[2, 0, 9.8, 0, 0, 2, -2, 0, 0], [0, 0, 9.8] + [0] * 6])
    np.testing.assert_array_equal(found['can_bus'][:, :7], without['can_bus'][:, :7])


def test_frames_of_another_scene_have_zeros():
    item = queue((0.0, 0.5), (False, False))
    item['frame_times'][1] = START - 40
    found = LoadEgoMotion('poses')(item)
    assert found['motion_source'] == ['poses', 'zeros']
    assert not found['can_bus'][1, 7:16].any() and found['can_bus'][1, 16] > 0


def test_inputs_stay_as_they_are(tmp_path):
    write_can_bus(tmp_path, [START * 1e6])
    for source in ('can', 'poses', 'zeros'):
        item = queue((1.0, 0.5), (True, False), tmp_path)
        before = copy.deepcopy(item)
        first = LoadEgoMotion(source)(item)['can_bus'].copy()
        for key in ('frame_times', 'ego2global', 'has_prev'):
            np.testing.assert_array_equal(item[key], before[key])
        np.testing.assert_array_equal(item['scene_poses'].ego2global, before['scene_poses'].ego2global)
        item['can_bus'][:] = 99  # a later step may write
        np.testing.assert_array_equal(LoadEgoMotion(source)(before)['can_bus'], first)


@pytest.mark.parametrize('options, text', [(dict(motion_source='imu'), 'imu'), (dict(quaternion='x'), 'full, w')])
def test_unknown_options_are_refused(options, text):
    with pytest.raises(ValueError, match=text):
        LoadEgoMotion(**options)
    assert LoadEgoMotion('can').reads_can_bus and not LoadEgoMotion('poses').reads_can_bus
