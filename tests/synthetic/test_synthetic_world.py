"""Objects keep apart, keep near and fill their boxes."""

import numpy as np
import pytest
from shapely.geometry import Polygon

from mmdet3d_plugin.synthetic.classes import CLASS_NAMES, SPECS
from mmdet3d_plugin.synthetic.config import SyntheticConfig
from mmdet3d_plugin.synthetic.templates import SHAPES, TEMPLATES
from mmdet3d_plugin.synthetic.world import build_world


def footprint(x, y, yaw, length, width):
    c, s = np.cos(yaw), np.sin(yaw)
    half = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]]) * [length / 2, width / 2]
    return Polygon(half @ np.array([[c, s], [-s, c]]) + [x, y])


@pytest.mark.parametrize('seed', [0, 7])
def test_nothing_touches_and_all_stay_near(seed):
    config = SyntheticConfig(seed=seed)
    world = build_world(config, 3)
    n = len(world.labels)
    assert n == sum(config.objects.values())
    for t in np.linspace(0, config.duration, 24):
        ego_x, ego_y, ego_yaw = world.ego.pose(t)
        objects = world.objects_at(t)
        shapes = [footprint(*o[[0, 1, 3]], *o[4:6]) for o in objects]
        ego = footprint(ego_x + 1.4 * np.cos(ego_yaw), ego_y + 1.4 * np.sin(ego_yaw), ego_yaw, 4.1, 1.7)
        assert not any(ego.intersects(shape) for shape in shapes)
        movable = [s for s, o in zip(shapes, world.state) if o[9] or o[5] < 8]
        assert not any(a.intersects(b) for i, a in enumerate(shapes[:n]) for b in movable[i + 1 :])
        assert np.hypot(objects[:n, 0] - ego_x, objects[:n, 1] - ego_y).max() <= config.extent + 0.5


def test_ego_path_is_smooth_and_of_the_asked_speed():
    path = build_world(SyntheticConfig(ego_speed=4.0), 0).ego
    t = np.linspace(0, 7.5, 751)
    x, y, yaw = path.pose(t)
    speed = np.hypot(np.diff(x), np.diff(y)) / 0.01
    assert speed.min() > 2.5 and speed.max() < 6.0
    assert np.abs(np.diff(speed)).max() < 0.1
    heading = np.arctan2(np.diff(y), np.diff(x))
    turn = heading - (yaw[1:] + yaw[:-1]) / 2
    assert np.abs(np.angle(np.exp(1j * turn))).max() < 1e-3
    still = build_world(SyntheticConfig(ego_speed=0.0), 0).ego
    assert np.ptp(still.pose(t)[0]) == 0


def test_scenes_and_seeds_differ_and_repeat():
    config = SyntheticConfig()
    first, again, other = build_world(config, 0), build_world(config, 0), build_world(config, 1)
    np.testing.assert_array_equal(first.state, again.state)
    np.testing.assert_array_equal(first.colours, again.colours)
    assert not np.allclose(first.state[:5, :2], other.state[:5, :2])
    # More scenes leave the first ones as they are.
    np.testing.assert_array_equal(build_world(SyntheticConfig(scenes=5), 0).state, first.state)


def test_sizes_follow_the_class():
    worlds = [build_world(SyntheticConfig(), i) for i in range(4)]
    for name in CLASS_NAMES:
        rows = np.concatenate([w.state[: len(w.labels)][np.array(w.labels) == name] for w in worlds])
        spec = SPECS[name]
        assert np.abs(rows[:, 5:7] - spec.size[:2]).max() <= 2.01 * max(spec.spread)
        speed = np.hypot(rows[:, 2], rows[:, 3])
        assert speed.max() <= spec.speed[1]


def test_templates_fill_the_unit_box():
    assert set(TEMPLATES) >= {s.shape for s in SPECS.values()} | {s.shape_still for s in SPECS.values()} - {None}
    for name, parts in TEMPLATES.items():
        corners = np.concatenate([part.corners for part in parts])
        np.testing.assert_allclose(corners.min(0), (-0.5, -0.5, 0.0), atol=1e-9, err_msg=name)
        np.testing.assert_allclose(corners.max(0), (0.5, 0.5, 1.0), atol=1e-9, err_msg=name)
        for part in parts:
            slack = part.corners @ part.planes[:, :3].T - part.planes[:, 3]
            assert slack.max() < 1e-9, 'a corner outside its own part'
            assert (np.sum(np.abs(slack) < 1e-9, axis=1) >= 3).all(), 'a corner that no three planes meet in'
    assert len(SHAPES.material) == SHAPES.first[-1]


def test_too_full_a_world_is_an_error():
    with pytest.raises(ValueError, match='no room for a bus .*raise extent'):
        build_world(SyntheticConfig(extent=12.0, objects=dict(bus=20)), 0)


@pytest.mark.parametrize(
    ('settings', 'text'),
    [
        (dict(version='v1.0'), 'v1.0-mini'),
        (dict(scenes=1), 'at least 2'),
        (dict(scenes=11), 'official names'),
        (dict(scenes=4, val_scenes=3), 'official names'),
        (dict(camera_sweep_hz=5), 'multiple of the keyframe rate'),
        (dict(lidar_sweep_hz=0), 'multiple of the keyframe rate'),
        (dict(objects=dict(tram=1)), "unknown classes \\['tram'\\]"),
        (dict(objects=dict(car=0)), 'not all 0'),
        (dict(lidar_dropout=1.5), 'at most 1'),
        (dict(keyframes=0), 'keyframes=0: must be at least 1'),
        (dict(extent=-3.0), 'at least 5'),
    ],
)
def test_bad_settings_are_named(settings, text):
    with pytest.raises(ValueError, match=text):
        SyntheticConfig(**settings)
