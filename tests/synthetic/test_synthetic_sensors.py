"""Ray casters against independent slow references."""

import numpy as np
import pytest
from pyquaternion import Quaternion

from mmdet3d_plugin.synthetic.camera import Camera
from mmdet3d_plugin.synthetic.config import SyntheticConfig
from mmdet3d_plugin.synthetic.lidar import Lidar, beam_directions
from mmdet3d_plugin.synthetic.render import count_points, sensor_pose
from mmdet3d_plugin.synthetic.rig import LIDAR, build_rig
from mmdet3d_plugin.synthetic.templates import TEMPLATE_NAMES, TEMPLATES
from mmdet3d_plugin.synthetic.world import build_world

TILT = (
    Quaternion(axis=[0.2, 1, 0.1], degrees=2).rotation_matrix @ Quaternion(axis=[0, 0, 1], degrees=70).rotation_matrix
)


def slow_hit(obj, template, origin, direction):
    """Range along a world ray to the first point of an object: every part is clipped by every plane in world units."""
    turn = Quaternion(axis=[0, 0, 1], radians=-obj[3]).rotation_matrix
    o, d = turn @ (origin - obj[:3]) / obj[4:7], turn @ direction / obj[4:7]
    best = np.inf
    for part in TEMPLATES[template]:
        enter, leave = 0.0, np.inf
        for *normal, c in part.planes:
            speed, gap = np.dot(normal, d), c - np.dot(normal, o)
            if speed < 0:
                enter = max(enter, gap / speed)
            elif speed > 0:
                leave = min(leave, gap / speed)
            elif gap < 0:
                leave = -1.0
        if 0 < enter < leave:
            best = min(best, enter)
    return best


def scene(seed):
    rng = np.random.default_rng(seed)
    names = ['car', 'truck', 'traffic_cone', 'bicycle_rider', 'construction_vehicle', 'pedestrian', 'motorcycle']
    rows = []
    for i, name in enumerate(names):
        angle = 2 * np.pi * i / len(names)
        size = (0.6, 0.6, 1.2) if name == 'traffic_cone' else (3.0, 1.8, 2.2)
        place = (6 + rng.uniform(-1, 1)) * np.array([np.cos(angle), np.sin(angle)])
        rows.append([*place, 0.02, rng.uniform(-3, 3), *size, TEMPLATE_NAMES.index(name)])
    return names, np.array(rows)


@pytest.mark.parametrize('seed', [0, 1])
def test_lidar_ranges_equal_the_slow_reference(seed):
    names, objects = scene(seed)
    origin = np.array([0.3, -0.2, 1.8])
    lidar = Lidar(beams=12, azimuth_steps=60, max_range=60.0, range_noise=0.0, dropout=0.0)
    points = lidar.scan(objects, TILT, origin, np.random.default_rng(0))
    got = {}
    for point in points:
        azimuth = (np.pi - np.arctan2(point[1], point[0])) / (2 * np.pi) * 60
        got[int(np.rint(azimuth)) % 60, int(point[4])] = np.linalg.norm(point[:3])
    directions = beam_directions(12, 60)
    hits = 0
    for a in range(60):
        for r in range(12):
            world = TILT @ directions[a, r]
            ground = -origin[2] / world[2] if world[2] < 0 else np.inf
            want = min([slow_hit(o, n, origin, world) for n, o in zip(names, objects)])
            hits += want < ground
            want = min(want, ground)
            assert got.get((a, r), np.inf) == pytest.approx(want if want < 60 else np.inf, abs=1e-4)
    assert hits > 60


def test_camera_depth_equals_the_slow_reference():
    names, objects = scene(2)
    sensor = build_rig(64, 36)['CAM_FRONT']
    origin = np.array([0.3, -0.2, 1.5])
    camera = Camera(sensor.intrinsic, 64, 36, 0.0)
    covered = 0
    for degrees in (0, 90, 180, 270):
        rotation = Quaternion(axis=[0, 0, 1], degrees=degrees).rotation_matrix @ sensor.rotation
        depth, owner, _, _, amodal = camera.cast(objects, rotation, origin)
        for v in range(0, 36, 3):
            for u in range(0, 64, 3):
                ray = np.linalg.solve(sensor.intrinsic, [u, v, 1.0])
                each = [slow_hit(o, n, origin, rotation @ ray) for n, o in zip(names, objects)]
                assert depth[v, u] == pytest.approx(min(each), rel=1e-9)
                assert owner[v, u] == (int(np.argmin(each)) if min(each) < np.inf else -1)
        covered += (owner >= 0).sum()
        visible = np.bincount(owner[owner >= 0], minlength=len(objects))
        assert (visible <= amodal).all()
    assert covered > 400


def test_near_objects_are_cut_at_the_image_plane():
    """A bus beside and partly behind the camera is still drawn where it is in view."""
    bus = np.array([[0.0, 2.0, 0.0, 0.0, 11.0, 2.0, 3.0, TEMPLATE_NAMES.index('bus')]])
    sensor = build_rig(80, 45)['CAM_FRONT']
    camera = Camera(sensor.intrinsic, 80, 45, 0.0)
    depth, owner, _, _, amodal = camera.cast(bus, sensor.rotation, np.array([0.0, 0.0, 1.5]))
    assert owner[22, 0] == 0 and owner[22, 70] == -1
    x_over_z = (0 - sensor.intrinsic[0, 2]) / sensor.intrinsic[0, 0]
    assert depth[22, 0] == pytest.approx(1.0 / -x_over_z, rel=0.02)
    assert amodal[0] == (owner == 0).sum()


def test_amodal_count_ignores_what_stands_in_front():
    index = TEMPLATE_NAMES.index('building')
    far = [20.0, 0.0, 0.0, 0.0, 2.0, 2.0, 2.0, index]
    near = [10.0, 0.0, 0.0, 0.0, 1.0, 4.0, 4.0, index]
    sensor = build_rig(160, 90)['CAM_FRONT']
    camera = Camera(sensor.intrinsic, 160, 90, 0.0)
    origin = np.array([0.0, 0.0, 1.5])
    *_, alone = camera.cast(np.array([far]), sensor.rotation, origin)
    _, owner, _, _, both = camera.cast(np.array([far, near]), sensor.rotation, origin)
    assert both[0] == alone[0] > 20
    assert (owner == 0).sum() == 0 and (owner == 1).sum() == both[1]


def test_noise_and_dropout_change_points_as_told():
    world = build_world(SyntheticConfig(), 0)
    pose = sensor_pose(build_rig(400, 225)[LIDAR], world.ego, 0.0)
    objects = world.objects_at(0.0)
    clean = Lidar(32, 600, 70.0, 0.0, 0.0).scan(objects, *pose, np.random.default_rng(0))
    noisy = Lidar(32, 600, 70.0, 0.02, 0.0).scan(objects, *pose, np.random.default_rng(0))
    error = np.linalg.norm(noisy[:, :3], axis=1) - np.linalg.norm(clean[:, :3], axis=1)
    assert len(noisy) == len(clean) and error.std() == pytest.approx(0.02, rel=0.05)
    dropped = Lidar(32, 600, 70.0, 0.0, 0.3).scan(objects, *pose, np.random.default_rng(0))
    assert 0.55 < len(dropped) / len(clean) < 0.7


def test_count_points_includes_the_faces_only():
    box = np.array([[10.0, 5.0, 1.0, 4.0, 2.0, 2.0, np.pi / 2]])
    inside = [[10.0, 5.0, 1.0], [10.9, 6.9, 1.9], [9.1, 3.1, 0.1]]
    outside = [[11.1, 5.0, 1.0], [10.0, 7.1, 1.0], [10.0, 5.0, 2.1]]
    points = np.array(inside + outside, dtype=np.float32)
    assert count_points(points, box, np.eye(3), np.zeros(3)).tolist() == [3]
    moved = (points - [1, 2, 3]) @ TILT
    assert count_points(moved.astype(np.float32), box, TILT, np.array([1.0, 2.0, 3.0])).tolist() == [3]


def test_rig_matches_nuscenes_axes():
    rig = build_rig(1600, 900)
    front = {name: sensor.rotation @ np.array([0, 0, 1.0]) for name, sensor in rig.items() if name != LIDAR}
    yaw = {name: np.degrees(np.arctan2(v[1], v[0])) for name, v in front.items()}
    want = dict(CAM_FRONT=0, CAM_FRONT_LEFT=55, CAM_FRONT_RIGHT=-55, CAM_BACK_LEFT=110, CAM_BACK_RIGHT=-110)
    want.update(CAM_LEFT=90, CAM_RIGHT=-90)
    for name, degrees in want.items():
        assert yaw[name] == pytest.approx(degrees, abs=3)
    assert all((rig[name].rotation @ [0, 1.0, 0])[2] < -0.99 for name in front)  # a picture's rows run downwards
    assert abs(yaw['CAM_BACK']) == pytest.approx(180, abs=3)
    np.testing.assert_allclose(rig[LIDAR].rotation @ [0, 1, 0], [1, 0, 0], atol=0.04)
    half = build_rig(800, 450)
    np.testing.assert_allclose(half['CAM_BACK'].intrinsic[:2], rig['CAM_BACK'].intrinsic[:2] / 2)


def test_cached_kernels_are_keyed_by_all_sources():
    """An edit of any file of the package must not meet kernels compiled from the old one."""
    from mmdet3d_plugin.synthetic import jit, looks, shading

    for kernel in (shading.shade, looks.surface_colour):
        assert kernel._cache._cache_file._source_stamp == jit._DIGEST == jit._sources_digest()
