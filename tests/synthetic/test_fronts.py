"""A LiDAR and a camera can tell the front of an object from its back, and where it was a moment ago."""

import numpy as np
import pytest
from mmcv import Config
from nuscenes import NuScenes

from mmdet3d_plugin.datasets import NuScenesBEVDataset
from mmdet3d_plugin.datasets.infos.info_io import save_infos
from mmdet3d_plugin.datasets.infos.nuscenes_infos import build_infos
from mmdet3d_plugin.synthetic import SyntheticConfig, generate
from mmdet3d_plugin.synthetic import materials as m
from mmdet3d_plugin.synthetic.camera import Camera
from mmdet3d_plugin.synthetic.classes import SPECS
from mmdet3d_plugin.synthetic.config import DEFAULT_OBJECTS
from mmdet3d_plugin.synthetic.lidar import Lidar
from mmdet3d_plugin.synthetic.render import sensor_pose
from mmdet3d_plugin.synthetic.rig import LIDAR, build_rig
from mmdet3d_plugin.synthetic.schedule import build_schedule
from mmdet3d_plugin.synthetic.templates import SHAPES, TEMPLATE_NAMES, TEMPLATES
from mmdet3d_plugin.synthetic.world import build_world

WITH_A_FRONT = [name for name in SPECS if name not in ('traffic_cone',)]
HEIGHT = 1.8  # of the LiDAR, m


def object_at(name, distance, yaw):
    """(1, 8) row of World.objects_at: a moving object of mean size on the x axis."""
    spec = SPECS[name]
    return np.array([[distance, 0.0, 0.0, yaw, *spec.size, TEMPLATE_NAMES.index(spec.shape)]])


def returns_of(name, yaw):
    """Object coordinates (M, 3), shares of its size, and intensities (M,) of what a LiDAR in the origin sees of it."""
    row = object_at(name, SPECS[name].size[0] / 2 + 5.0, yaw)
    lidar = Lidar(beams=60, azimuth_steps=1500, max_range=40.0, range_noise=0.0, dropout=0.0)
    points = lidar.scan(row, np.eye(3), np.array([0.0, 0.0, HEIGHT]), np.random.default_rng(0))
    local = points[:, :3] + [0, 0, HEIGHT] - row[0, :3]
    c, s = np.cos(yaw), np.sin(yaw)
    local = local @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) / row[0, 4:7]
    inside = (np.abs(local[:, :2]) < 0.501).all(1) & (local[:, 2] > 0.002)
    return local[inside], points[inside, 3]


@pytest.mark.parametrize('name', ['car', 'truck', 'motorcycle'])
@pytest.mark.parametrize('turn', [0.0, 0.3, -0.4])
def test_the_back_reflects_more_than_the_front_and_sits_where_the_yaw_says(name, turn):
    """No other material of these classes returns more than 120 at normal incidence, and 0.15 is the noise of one."""
    seen, back = returns_of(name, turn)  # the sensor is behind it
    bright = seen[back > 190]
    assert len(bright) > 8 and bright[:, 0].max() < -0.2
    seen, front = returns_of(name, np.pi + turn)
    lamps = seen[(front > 70) & (seen[:, 0] > 0.44)]
    assert len(lamps) > 3 and front[seen[:, 0] > 0].max() < 190
    assert back[back > 190].mean() > 1.6 * front[(front > 70) & (seen[:, 0] > 0.2)].mean()


def _filled(name):
    """(40, 40) bool: in which cells of the side view (length, height) a template has a part."""
    x, z = np.meshgrid((np.arange(40) + 0.5) / 40 - 0.5, (np.arange(40) + 0.5) / 40, indexing='ij')
    filled = np.zeros(x.shape, dtype=bool)
    for part in TEMPLATES[name]:
        inside = np.ones(x.shape, dtype=bool)
        for nx, ny, nz, c in part.planes:
            if abs(ny) < 0.5:  # the sides bound y
                inside &= nx * x + nz * z <= c
        filled |= inside
    return filled


@pytest.mark.parametrize('name', WITH_A_FRONT)
def test_silhouettes_differ_when_turned_round(name):
    filled = _filled(SPECS[name].shape)
    assert (filled ^ filled[::-1]).sum() > 0.03 * filled.sum()


def test_what_has_no_front_is_the_same_from_both_ends():
    for name in ('traffic_cone', 'pole', 'wall'):
        filled = _filled(name)
        np.testing.assert_array_equal(filled, filled[::-1])


def _mean_colour(name, yaw, material):
    """Mean BGR of the pixels of a material, and how many, seen from 6 m behind (yaw 0) or before the object."""
    row = object_at(name, SPECS[name].size[0] / 2 + 6.0, yaw)
    sensor = build_rig(400, 225)['CAM_FRONT']
    camera = Camera(sensor.intrinsic, 400, 225, 0.0)
    look = dict(
        gain=1.0, tint=np.ones(3), sun=np.array([0.0, 0.0, 1.0]), ambient=0.7, haze=0.0, ground=np.full(3, 0.3),
        horizon=np.full(3, 0.8), zenith=np.full(3, 0.5),
    )  # fmt: skip
    colours = np.array([[SPECS[name].primary[0], SPECS[name].secondary[0]]])
    place = sensor.rotation, np.array([0.0, 0.0, 1.5])
    image = camera.render(row, colours, look, *place, np.random.default_rng(0))[0]
    _, owner, part, _, _ = camera.cast(row, *place)
    pixels = image[(owner == 0) & (SHAPES.material[part] == material)]
    return pixels.mean(0) if len(pixels) else None, len(pixels)


@pytest.mark.parametrize('name', ['car', 'truck', 'bus', 'motorcycle', 'bicycle'])
def test_cameras_see_red_behind_and_white_in_front(name):
    (blue, green, red), count = _mean_colour(name, 0.0, m.REAR_LAMP)
    assert count > 20 and red > 100 and red > 1.8 * max(blue, green)
    (blue, green, red), count = _mean_colour(name, np.pi, m.FRONT_LAMP)
    assert count > 20 and min(blue, green, red) > 60 and red < 1.5 * blue
    assert _mean_colour(name, 0.0, m.FRONT_LAMP)[1] < 0.1 * count


@pytest.fixture(scope='module')
def moving_world():
    config = SyntheticConfig(
        keyframes=2, lidar_sweep_hz=10, lead_in=0.3, lidar_range_noise=0.0, lidar_dropout=0.0, objects=dict(car=6)
    )
    return config, build_world(config, 0)


def test_sweeps_hold_a_moving_object_where_it_was(moving_world):
    """At time lag t its points lie around centre - v t along its heading, and only there."""
    config, world = moving_world
    lidar = Lidar(32, 1084, 70.0, 0.0, 0.0)
    pose = sensor_pose(build_rig(400, 225)[LIDAR], world.ego, 0.0)
    fast = [i for i in range(6) if np.hypot(*world.state[i, 2:4]) > 2.0]
    assert fast
    for lag in (0.1, 0.3):
        points = lidar.scan(world.objects_at(-lag), *pose, np.random.default_rng(0))[:, :3]
        points = points @ pose[0].T + pose[1]
        for i in fast:
            x, y, _, length, width, height, yaw = world.boxes_at(0.0)[i]
            speed = np.hypot(*world.state[i, 2:4])
            c, s = np.cos(yaw), np.sin(yaw)
            local = (points[:, :2] - [x, y]) @ np.array([[c, -s], [s, c]])
            near = (np.abs(local[:, 1]) < width / 2) & (points[:, 2] > 0.05) & (np.abs(local[:, 0]) < length / 2 + 2.5)
            along = local[near & (points[:, 2] < height), 0]
            assert len(along) > 10
            assert along.max() <= length / 2 - speed * lag + 1e-3  # nothing is left where it will be
            assert along.min() >= -length / 2 - speed * lag - 1e-3


def test_sweeps_lead_in(moving_world):
    config, world = moving_world
    frames = build_schedule(config, 0)
    times = np.array([frame.time for frame in frames[LIDAR]])
    keys = [frame.is_key for frame in frames[LIDAR]]
    np.testing.assert_allclose(times, np.arange(-3, 6) / 10, atol=4e-3)
    assert keys == [i in (3, 8) for i in range(9)]
    assert [frame.keyframe for frame in frames[LIDAR]] == [0] * 4 + [1] * 5
    camera = frames['CAM_FRONT']  # 12 Hz, and 0.3 s are 3.6 images
    assert [frame.is_key for frame in camera].index(True) == 4
    speed = np.hypot(*np.diff([world.ego.pose(t)[:2] for t in (-0.3, -0.2)], axis=0)[0]) / 0.1
    assert speed == pytest.approx(config.ego_speed, rel=0.35)


def test_without_lead_in_a_scene_starts_with_a_keyframe():
    frames = build_schedule(SyntheticConfig(keyframes=2), 0)
    assert all(group[0].is_key for group in frames.values())
    assert 'lead_in' not in SyntheticConfig().manifest()['settings']
    assert SyntheticConfig(lead_in=0.2).manifest()['settings']['lead_in'] == 0.2
    with pytest.raises(ValueError, match='lead_in=0.7: must be at most 0.5'):
        SyntheticConfig(lead_in=0.7)


def test_the_toy_teacher_reads_sweeps_that_move(tmp_path, repo_root):
    """Through info files and the config's own loading: every keyframe, the first too, has points of all ages, and those
    of a moving car lie at centre - v * age in the LiDAR frame of the keyframe."""
    config = SyntheticConfig(
        scenes=2, keyframes=2, image_width=32, image_height=18, cameras=('CAM_FRONT',), camera_sweep_hz=2,
        lidar_sweep_hz=4, lead_in=0.5, lidar_range_noise=0.0, objects=dict(DEFAULT_OBJECTS, car=8),
    )  # fmt: skip
    root = generate(tmp_path / 'nuscenes', config, workers=1, progress=False)
    nusc = NuScenes('v1.0-mini', str(root), verbose=False)
    infos = build_infos(nusc, nusc.scene, cameras=('CAM_FRONT',)).infos
    save_infos(tmp_path / 'infos.pkl', infos, 'v1.0-mini', 'train')
    loading = Config.fromfile(str(repo_root / 'configs/quickstart/centerpoint_toy.py')).test_pipeline[:2]
    dataset = NuScenesBEVDataset(
        str(tmp_path / 'infos.pkl'), str(root), pipeline=loading, classes=['car'], test_mode=True
    )
    checked = 0
    for index, info in enumerate(infos):
        points = dataset[index]['points'].tensor.numpy()
        ages = np.unique(points[:, 4].round(2))
        np.testing.assert_allclose(ages, [0.0, 0.25, 0.5], atol=0.011)
        for box, (vx, vy), name in zip(info['gt_boxes'], info['gt_velocity'], info['gt_names']):
            speed = np.hypot(vx, vy)
            if name != 'car' or not speed > 2.0:
                continue
            heading = np.array([np.cos(box[6]), np.sin(box[6])])
            np.testing.assert_allclose([vx, vy], speed * heading, atol=0.05 * speed)
            for age in ages[1:]:
                old = points[np.abs(points[:, 4] - age) < 0.02, :3] - box[:3]
                along, across = old[:, :2] @ heading, old[:, :2] @ [-heading[1], heading[0]]
                own = (np.abs(across) < box[4] / 2) & (np.abs(along) < box[3] / 2 + 0.5) & (np.abs(old[:, 2]) < 0.4)
                front = along[own].max() if own.sum() > 10 else None
                if front is not None:
                    assert front < box[3] / 2 - speed * age + 0.1
                    checked += 1
    assert checked > 5
