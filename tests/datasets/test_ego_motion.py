"""Speeds and accelerations from poses: on straight and round roads, at the ends of a scene."""

import numpy as np
from helpers.ego_scenes import START, circle, scene_of

from dualdistill_runtime.ego_motion import GRAVITY, motion_from_poses, yaw_of
from mmdet3d_plugin.datasets.ego_motion import poses_by_scene
from mmdet3d_plugin.datasets.infos.info_columns import InfoColumns


def straight(seconds, acceleration=1.5, speed=4.0):
    pose = circle(0.0)
    pose[:3, 3] += pose[:3, 0] * (speed * seconds + acceleration * seconds**2 / 2)
    return pose


def test_speeding_up_on_a_straight_road():
    seconds = np.array([0.0, 0.5, 1.002, 1.49, 2.0, 2.5])  # keyframes jitter
    motion = motion_from_poses(seconds, np.stack([straight(s) for s in seconds]))
    # differences of second order are exact for a parabola; the ends are the means over their half second
    np.testing.assert_allclose(motion[1:-1, 6], 4.0 + 1.5 * seconds[1:-1], atol=1e-9)
    np.testing.assert_allclose(motion[[0, -1], 6], [4.0 + 1.5 * 0.25, 4.0 + 1.5 * 2.25], atol=1e-9)
    np.testing.assert_allclose(motion[2:-2, 0:3], [[1.5, 0, GRAVITY]] * 2, atol=1e-8)
    np.testing.assert_allclose(motion[:, [1, 3, 4, 5, 7, 8]], 0, atol=1e-9)


def test_a_circle_to_the_left_across_the_turn_of_yaw():
    seconds = np.arange(0, 8, 0.5)
    poses = np.stack([circle(s, yaw0=2.0) for s in seconds])
    assert yaw_of(poses).max() > 2.9 and yaw_of(poses).min() < -2.9
    motion = motion_from_poses(seconds, poses)
    np.testing.assert_allclose(motion[:, 5], 0.4, atol=1e-12)
    np.testing.assert_allclose(motion[1:-1, 6], 6.0 * np.sin(0.2) / 0.2, atol=1e-9)  # a chord of two half seconds
    np.testing.assert_allclose(motion[2:-2, 1], 6.0 * 0.4, rtol=0.02)  # towards the centre, on the left
    np.testing.assert_allclose(motion[2:-2, 0], 0, atol=1e-9)


def test_a_scene_of_one_keyframe_stands_still():
    np.testing.assert_array_equal(motion_from_poses(np.zeros(1), np.eye(4)[None]), [[0, 0, GRAVITY, *[0] * 6]])


def test_keyframes_are_found_by_their_time():
    scene = scene_of([circle(s) for s in (0, 0.5)], (0, 0.5))
    assert [scene.find(START + s) for s in (0, 0.5, 0.4999, 1.0, -0.5)] == [0, 1, None, None, None]


def test_infos_give_their_scenes(base_infos):
    infos = base_infos['train']
    scenes = poses_by_scene(infos.take(np.arange(len(infos))[::-1]).columns)
    assert {token: len(poses.times) for token, poses in scenes.items()} == {'scene-0061': 5, 'scene-0553': 13}
    for info in infos:
        poses = scenes[info['scene_token']]
        index = poses.find(info['timestamp'] / 1e6)
        assert poses.name == info['scene_name'] == info['scene_token']
        np.testing.assert_allclose(poses.ego2global[index, :3, 3], info['ego2global_translation'])
        np.testing.assert_allclose(poses.quaternions[index], list(info['ego2global_rotation']))


def test_infos_from_before_scenes_had_names_have_none(base_infos):
    old = [{key: value for key, value in info.items() if key != 'scene_name'} for info in base_infos['val']]
    (poses,) = poses_by_scene(InfoColumns.of(old)).values()
    assert poses.name is None
