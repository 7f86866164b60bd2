"""A turning ego: sensors, boxes and CAN bus files of a generated set follow its poses."""

import json

import numpy as np
import pytest
from nuscenes import NuScenes
from scipy.spatial import cKDTree

from dualdistill_runtime.can_bus import motion_at
from dualdistill_runtime.ego_motion import yaw_of
from dualdistill_runtime.poses import invert_pose, pose_matrix, sensor_to_global
from mmdet3d_plugin.datasets.ego_motion import poses_by_scene
from mmdet3d_plugin.datasets.infos.nuscenes_infos import build_infos
from mmdet3d_plugin.structures.poses import lidar_to_camera, project
from mmdet3d_plugin.synthetic import SyntheticConfig, generate
from mmdet3d_plugin.synthetic.can_bus import has_can_bus
from mmdet3d_plugin.synthetic.generate import MANIFEST
from mmdet3d_plugin.synthetic.render import mask_path
from mmdet3d_plugin.synthetic.world import build_world

TURN = (20.0, 40.0)  # degrees/s


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    config = SyntheticConfig(
        scenes=2, keyframes=6, image_width=240, image_height=135, camera_sweep_hz=2, lidar_sweep_hz=2, extent=20.0,
        lidar_range_noise=0.0, lidar_dropout=0.0, ego_speed=4.0, ego_turn=TURN, can_bus=0.5, instance_masks=True,
    )  # fmt: skip
    return generate(tmp_path_factory.mktemp('turns') / 'nuscenes', config, workers=1, progress=False)


@pytest.fixture(scope='module')
def scenes(root):
    """Infos of each scene."""
    nusc = NuScenes('v1.0-mini', str(root), verbose=False)
    return [build_infos(nusc, [scene]).infos for scene in nusc.scene]


def lidar2global(info):
    ego = pose_matrix(info['ego2global_translation'], info['ego2global_rotation'])
    return ego @ pose_matrix(info['lidar2ego_translation'], info['lidar2ego_rotation'])


def points_of(root, info):
    points = np.fromfile(root / info['lidar_path'], dtype=np.float32).reshape(-1, 5)[:, :3]
    return points.astype(np.float64)


def move(points, pose):
    return points @ pose[:3, :3].T + pose[:3, 3]


def inside(points, box):
    """Points in a gravity-centre box (x, y, z, l, w, h, yaw)."""
    c, s = np.cos(box[6]), np.sin(box[6])
    local = (points - box[:3]) @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    return (np.abs(local) < box[3:6] / 2).all(1)


def test_the_lidar_turns_as_asked(scenes):
    for infos in scenes:
        yaws = np.unwrap([np.arctan2(*lidar2global(info)[[1, 0], 0]) for info in infos])
        rates = np.degrees(np.diff(yaws)) / (np.diff([info['timestamp'] for info in infos]) / 1e6)
        assert len(set(np.sign(rates))) == 1
        assert (np.abs(rates) > TURN[0] - 0.5).all() and (np.abs(rates) < TURN[1] + 0.5).all()


def test_what_stands_still_in_one_keyframe_lies_where_the_next_one_sees_it(root, scenes):
    """Points off the ground against the nearest ones half a second later; without the turn they miss."""
    for infos in scenes:
        for first, second in zip(infos, infos[1:]):
            clouds = [points_of(root, info) for info in (first, second)]
            moving = np.hypot(*first['gt_velocity'].T) > 0.1
            still = ~np.any([inside(clouds[0], box) for box in first['gt_boxes'][moving]], axis=0)
            pose = invert_pose(lidar2global(second)) @ lidar2global(first)
            straight = np.eye(4)
            straight[:3, 3] = pose[:3, 3]
            tree, distances = cKDTree(clouds[1]), []
            for candidate in (pose, straight):
                moved = move(clouds[0][still], candidate)
                close = (moved[:, 2] > -1.4) & (np.hypot(*moved[:, :2].T) < 20)
                distances.append(np.median(tree.query(moved[close])[0]))
            assert distances[0] < 0.12 and distances[1] > 3 * distances[0]


def test_boxes_that_stand_still_do_so_in_the_world(scenes):
    for infos in scenes:
        still = np.hypot(*infos[0]['gt_velocity'].T) < 0.01
        places = np.stack([move(info['gt_boxes'][still, :3], lidar2global(info)) for info in infos])
        assert still.sum() > 5 and np.ptp(places, axis=0).max() < 1e-6
        turned = np.unwrap([info['gt_boxes'][still, 6] for info in infos], axis=0)
        assert np.abs(np.diff(turned, axis=0)).min() > np.radians(TURN[0]) * 0.49


def test_cameras_have_the_pose_of_their_own_exposure(scenes):
    """The ego turns by up to 2 degrees between camera and LiDAR."""
    early = []
    for info in [info for infos in scenes for info in infos]:
        lidar_yaw = yaw_of(pose_matrix(info['ego2global_translation'], info['ego2global_rotation']))
        for camera in info['cams'].values():
            seconds = (info['timestamp'] - camera['timestamp']) / 1e6
            yaw = yaw_of(pose_matrix(camera['ego2global_translation'], camera['ego2global_rotation']))
            turned = np.degrees(np.angle(np.exp(1j * (lidar_yaw - yaw))))
            assert TURN[0] - 0.5 < abs(turned) / seconds < TURN[1] + 0.5
            early.append(seconds)
            to_lidar = np.eye(4)
            to_lidar[:3, :3], to_lidar[:3, 3] = camera['sensor2lidar_rotation'], camera['sensor2lidar_translation']
            np.testing.assert_allclose(lidar2global(info) @ to_lidar, sensor_to_global(camera), atol=1e-6)
    assert max(early) > 0.04


def test_images_show_objects_where_their_points_are_at_the_exposure(root, scenes):
    """Points of still objects fall on pixels of their class; fewer do when the turn since the exposure is left out."""
    hits = np.zeros((2, 0), dtype=bool)
    for info in [info for infos in scenes for info in infos]:
        objects = still_objects(points_of(root, info), info)
        for camera in info['cams'].values():
            masks = np.load(root / mask_path(camera['data_path']))
            ids, names = masks['ids'].astype(int), np.append(masks['names'], '')
            late = dict(camera, **{key: info[key] for key in ('ego2global_translation', 'ego2global_rotation')})
            late = invert_pose(invert_pose(lidar2global(info)) @ sensor_to_global(late))
            for name, points in objects:
                shown = [
                    names[at_pixels(ids, move(points, pose), camera['cam_intrinsic']) - 1] == name
                    for pose in (lidar_to_camera(camera), late)
                ]
                hits = np.append(hits, np.stack(shown)[:, shown[0] | shown[1]], axis=1)
    assert hits.shape[1] > 2000
    missed, missed_late = 1 - hits.mean(axis=1)
    assert missed < 0.03 and missed_late > 2.5 * missed


def still_objects(points, info):
    """(class, points in its box) of what does not move."""
    moves = np.hypot(*info['gt_velocity'].T) > 0.1
    return [(n, points[inside(points, box)]) for n, box, m in zip(info['gt_names'], info['gt_boxes'], moves) if not m]


def at_pixels(ids, points, intrinsic):
    """(M,) ids where points (M, 3) of the camera's frame are seen, 0 outside of the image."""
    ahead = np.where(points[:, 2:] > 1, points, [0, 0, -1])
    column, row = np.rint(project(ahead, intrinsic)).astype(int).T
    within = (points[:, 2] > 1) & (column >= 0) & (column < ids.shape[1]) & (row >= 0) & (row < ids.shape[0])
    return np.where(within, ids[row * within, column * within], 0)


def test_can_bus_says_what_the_poses_say(root, scenes):
    assert [path.name for path in (root / 'can_bus').iterdir()] == ['scene-0103_pose.json']  # half of two scenes
    (poses,) = poses_by_scene(scenes[1].columns).values()
    assert poses.name == 'scene-0103'
    found = np.stack([motion_at(str(root), poses.name, stamp / 1e6) for stamp in poses.times])
    expected = poses.motion()
    np.testing.assert_allclose(found[1:-1, 5], expected[1:-1, 5], rtol=0.05)  # means over a second, and 20 ms
    np.testing.assert_allclose(found[1:-1, 6], expected[1:-1, 6], rtol=0.05)
    np.testing.assert_allclose(found[2:-2, 1], expected[2:-2, 1], rtol=0.15)
    np.testing.assert_allclose(found[2:-2, 0], expected[2:-2, 0], atol=0.15)
    np.testing.assert_allclose(found[:, 2], expected[:, 2])
    assert not found[:, [3, 4, 7, 8]].any()


def test_messages_are_those_of_the_expansion(root, scenes):
    messages = json.loads((root / 'can_bus' / 'scene-0103_pose.json').read_text())
    assert {len(message) for message in messages} == {6}
    for key, count in dict(accel=3, orientation=4, pos=3, rotation_rate=3, vel=3).items():
        assert {len(message[key]) for message in messages} == {count}
    times = np.array([message['utime'] for message in messages])
    assert set(np.diff(times)) == {20_000}
    stamps = [info['timestamp'] for info in scenes[1]]
    assert times[0] < stamps[0] and times[-1] > stamps[-1]
    place = np.array([np.interp(stamps, times, [message['pos'][axis] for message in messages]) for axis in (0, 1)]).T
    np.testing.assert_allclose(place, [info['ego2global_translation'][:2] for info in scenes[1]], atol=1e-3)


def test_some_scenes_turn_each_way_and_across_the_x_axis():
    config = SyntheticConfig(ego_turn=(10, 40))
    yaws = [build_world(config, i).ego.pose(np.arange(config.keyframes) / 2)[2] for i in range(6)]
    steps = np.degrees(np.abs(np.diff(yaws)))
    assert steps.min() > 4.9 and steps.max() < 20.1
    assert {np.sign(yaw[-1] - yaw[0]) for yaw in yaws} == {-1, 1}
    crossing = [np.diff(np.floor(np.array(yaw) / (2 * np.pi))).any() for yaw in yaws]
    assert any(crossing) and not all(crossing)


@pytest.mark.parametrize('share, expected', [(0.0, 0), (0.1, 1), (0.25, 2), (0.5, 5), (1.0, 10)])
def test_the_share_of_scenes_with_messages(share, expected):
    config = SyntheticConfig(can_bus=share)
    assert sum(has_can_bus(config, i) for i in range(10)) == expected


def test_defaults_give_the_world_of_before_there_was_a_choice(tmp_path):
    """Numbers of the first release: a tree made then stays valid, so it must not be another world now."""
    world = build_world(SyntheticConfig(), 2)
    path = [331.8508655921529, 1060.259567362953, -2.153420537441812]
    later = [326.96360872094044, 1052.4134156686057, -2.1564456756056853]
    np.testing.assert_allclose([world.ego.pose(0.0), world.ego.pose(3.3)], [path, later], rtol=1e-12)
    bus = [354.38379554000903, 1054.3696776986048, -0.8052617175562815, -1.858730210820415, -1.9796189800297783]
    np.testing.assert_allclose(world.state[3][:5], bus, rtol=1e-12)
    assert not {'ego_turn', 'can_bus'} & set(SyntheticConfig().manifest()['settings'])
    changed = SyntheticConfig(ego_turn=(10, 40), can_bus=0.5)
    assert json.loads(json.dumps(changed.manifest())) == changed.manifest()
    assert SyntheticConfig(**changed.manifest()['settings']) == changed


def test_settings_are_written_down(root):
    assert json.loads((root / MANIFEST).read_text())['settings']['ego_turn'] == list(TURN)


@pytest.mark.parametrize(
    'settings, text',
    [
        (dict(ego_turn=(40, 10)), r'ego_turn=\[40.0, 10.0\]: give the lowest'),
        (dict(ego_turn=(0, 91)), 'between 0 and 90'),
        (dict(ego_turn=(5,)), 'ego_turn'),
        (dict(can_bus=1.5), 'at most 1'),
        (dict(can_bus=-0.5), 'at least 0'),
    ],
)
def test_bad_settings_are_named(settings, text):
    with pytest.raises(ValueError, match=text):
        SyntheticConfig(**settings)
