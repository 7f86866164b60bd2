import os
from pathlib import Path

import numpy as np
import pytest
from nuscenes import NuScenes
from nuscenes_tables import HEADING, THINGS, Tables, Thing, ego_pose, thing_state
from pyquaternion import Quaternion

from dualdistill_runtime.poses import invert_pose, pose_matrix, sensor_to_global
from mmdet3d_plugin.datasets.infos.nuscenes_infos import CAMERAS, build_infos
from mmdet3d_plugin.datasets.infos.splits import find_versions, scenes_by_split


def lidar_to_global(info):
    ego = pose_matrix(info['ego2global_translation'], info['ego2global_rotation'])
    return ego @ pose_matrix(info['lidar2ego_translation'], info['lidar2ego_rotation'])


def build(root, max_sweeps=10, workers=1):
    nusc = NuScenes('v1.0-mini', str(root), verbose=False)
    by_split, _ = scenes_by_split(nusc)
    return build_infos(nusc, by_split['train'], max_sweeps, workers)


def test_every_keyframe_of_the_split_has_one_info_in_order_of_time(base_infos):
    assert {split: len(infos) for split, infos in base_infos.items()} == {'train': 18, 'val': 3}
    times = [info['timestamp'] for info in base_infos['train']]
    assert times == sorted(times)
    assert {info['scene_token'] for info in base_infos['val']} == {'scene-0103'}


def test_keys_are_those_of_mmdet3d(base_infos):
    info = base_infos['train'][7]
    assert set(info) == {
        *('token', 'scene_token', 'scene_name', 'timestamp', 'lidar_path', 'sweeps', 'cams', 'lidar2ego_translation'),
        *('lidar2ego_rotation', 'ego2global_translation', 'ego2global_rotation', 'gt_boxes', 'gt_names'),
        *('gt_velocity', 'num_lidar_pts', 'num_radar_pts', 'valid_flag'),
    }
    sensor = {
        *('data_path', 'type', 'sample_data_token', 'timestamp', 'sensor2ego_translation', 'sensor2ego_rotation'),
        *('ego2global_translation', 'ego2global_rotation', 'sensor2lidar_rotation', 'sensor2lidar_translation'),
    }
    assert tuple(info['cams']) == CAMERAS
    assert all(set(cam) == sensor | {'cam_intrinsic'} for cam in info['cams'].values())
    assert all(set(sweep) == sensor for sweep in info['sweeps'])
    assert info['cams']['CAM_BACK']['cam_intrinsic'].shape == (3, 3)


def test_paths_are_relative_posix_and_exist(base_infos, tables_root):
    for info in base_infos['train']:
        records = [*info['sweeps'], *info['cams'].values(), dict(data_path=info['lidar_path'])]
        for path in (record['data_path'] for record in records):
            assert not os.path.isabs(path) and '\\' not in path
            assert (tables_root / path).is_file()


def test_sweeps_stay_in_the_scene_and_run_backwards(base_infos):
    for number, first in ((0, 0), (1, 5)):
        scene = base_infos['train'][first : first + 5]
        assert [len(info['sweeps']) for info in scene] == [0, 10, 10, 10, 10]
        for info in scene[1:]:
            assert [info['timestamp'] - sweep['timestamp'] for sweep in info['sweeps']] == list(
                range(50_000, 550_000, 50_000)
            )
            assert all(f'-{number}-' in sweep['sample_data_token'] for sweep in info['sweeps'])


def test_number_of_sweeps_is_limited(tables_root):
    infos = build(tables_root, max_sweeps=4).infos
    assert [len(info['sweeps']) for info in infos[:3]] == [0, 4, 4]


def test_workers_give_the_same_infos(tables_root, base_infos):
    infos = build(tables_root, workers=2).infos
    assert [info['token'] for info in infos] == [info['token'] for info in base_infos['train']]
    np.testing.assert_array_equal(infos[9]['gt_boxes'], base_infos['train'][9]['gt_boxes'])


def test_sensor_poses_map_a_global_point_to_the_same_lidar_point(base_infos):
    info = base_infos['train'][3]
    point = np.array([620.0, 1610.0, 1.0, 1.0])
    expected = invert_pose(lidar_to_global(info)) @ point
    for record in [*info['cams'].values(), *info['sweeps']]:
        in_sensor = (np.linalg.inv(sensor_to_global(record)) @ point)[:3]
        in_lidar = record['sensor2lidar_rotation'] @ in_sensor + record['sensor2lidar_translation']
        np.testing.assert_allclose(in_lidar, expected[:3], atol=1e-9)


def test_sensor_pose_is_taken_at_the_sensor_s_own_time(base_infos):
    info = base_infos['train'][3]
    camera = info['cams']['CAM_BACK']  # fires 40 ms after the LiDAR, at 8 m/s
    gap = np.array(camera['ego2global_translation']) - info['ego2global_translation']
    assert np.linalg.norm(gap) == pytest.approx(0.32, abs=1e-6)
    assert camera['timestamp'] - info['timestamp'] == 40_000


def test_boxes_and_velocities_are_those_of_the_world(base_infos):
    info = base_infos['train'][2]  # 1 s into the first scene
    present = [thing for thing in THINGS if thing.last_keyframe >= 2]
    assert info['gt_boxes'].shape == (len(present), 7) and info['gt_velocity'].shape == (len(present), 2)
    to_global = lidar_to_global(info)
    for thing, box, velocity in zip(present, info['gt_boxes'], info['gt_velocity']):
        position, speed = thing_state(thing, 0, 1.0)
        np.testing.assert_allclose((to_global @ [*box[:3], 1])[:3], position, atol=1e-9)
        width, length, height = thing.size
        np.testing.assert_allclose(box[3:6], [length, width, height])
        # The tilted LiDAR's x-y plane is off the horizon by about 0.02 rad, hence the second-order tolerance.
        heading = to_global[:3, :3] @ [np.cos(box[6]), np.sin(box[6]), 0]
        assert np.arctan2(heading[1], heading[0]) == pytest.approx(thing.yaw, abs=1e-3)
        np.testing.assert_allclose((to_global[:3, :3] @ [*velocity, 0])[:2], speed[:2], atol=5e-3)


def test_lidar_frame_has_x_to_the_right_and_y_ahead(base_infos):
    box = base_infos['train'][0]['gt_boxes'][0]  # 15 m ahead, 3 m to the left
    assert box[0] == pytest.approx(-3, abs=0.05)
    assert box[1] == pytest.approx(15 - 0.94, abs=0.1)
    assert box[6] == pytest.approx(0.4 - HEADING + np.pi / 2, abs=1e-3)


def test_names_points_and_unknown_velocity(base_infos):
    info = base_infos['train'][0]
    assert info['gt_names'].tolist()[:5] == ['car', 'car', 'truck', 'construction_vehicle', 'bus']
    assert 'animal' in info['gt_names'] and 'pedestrian' in info['gt_names']
    assert np.isnan(info['gt_velocity'][-1]).all()  # annotated once only
    assert not np.isnan(info['gt_velocity'][:-1]).any()
    assert info['valid_flag'].tolist() == [t.lidar_points + t.radar_points > 0 for t in THINGS]
    assert info['valid_flag'].dtype == bool


def test_sample_without_annotations(tmp_path):
    things = (Thing('vehicle.car', (5, 0), (0, 0), 'vehicle.parked', last_keyframe=0),)
    infos = build(Tables({'scene-0061': 2}, things=things).write(tmp_path)).infos
    empty = infos[1]
    assert empty['gt_boxes'].shape == (0, 7) and empty['gt_velocity'].shape == (0, 2)
    assert empty['gt_names'].shape == (0,) and empty['gt_names'].dtype.kind == 'U'
    assert empty['valid_flag'].shape == (0,) and empty['valid_flag'].dtype == bool


def test_missing_sweeps_are_left_out_and_counted(tmp_path):
    root = Tables({'scene-0061': 2}).write(tmp_path)
    sweeps = sorted((root / 'sweeps' / 'LIDAR_TOP').iterdir())
    for path in sweeps[3:5]:
        path.unlink()
    result = build(root)
    assert result.missing_sweeps == 2
    assert len(result.infos[1]['sweeps']) == 8
    assert not {path.name for path in sweeps[3:5]} & {Path(s['data_path']).name for s in result.infos[1]['sweeps']}


def test_missing_keyframe_files_are_an_error_that_names_them(tmp_path):
    root = Tables({'scene-0061': 3}).write(tmp_path)
    paths = sorted((root / 'samples' / 'CAM_BACK').iterdir())[1:]
    for path in paths:
        path.unlink()
    with pytest.raises(FileNotFoundError, match='2 keyframe file') as caught:
        build(root)
    assert all(path.name in str(caught.value) for path in paths)
    assert '\n' not in str(caught.value)


def test_scene_that_was_not_downloaded_is_left_out(tmp_path):
    tables = Tables({'scene-0061': 2, 'scene-0553': 3})
    root = tables.write(tmp_path)
    for record in tables.tables['sample_data']:
        if record['is_key_frame'] and record['sample_token'].startswith('scene-0553'):
            (root / record['filename']).unlink()
    result = build(root)
    assert result.absent_scenes == ['scene-0553']
    assert len(result.infos) == 2


def test_no_file_at_all_is_an_error(tmp_path):
    root = Tables({'scene-0061': 2}).write(tmp_path)
    for path in root.glob('samples/*/*'):
        path.unlink()
    with pytest.raises(FileNotFoundError, match='is this the data root'):
        build(root)


def test_versions_found_in_a_data_root(tmp_path):
    def add(version):
        (tmp_path / version).mkdir()
        (tmp_path / version / 'sample.json').write_text('[]')

    with pytest.raises(FileNotFoundError, match='found none'):
        find_versions(tmp_path)
    add('v1.0-mini')
    assert find_versions(tmp_path) == ['v1.0-mini']
    with pytest.raises(FileNotFoundError, match='v1.0-trainval.*found v1.0-mini'):
        find_versions(tmp_path, 'v1.0-trainval')
    add('v1.0-trainval')
    assert find_versions(tmp_path) == ['v1.0-trainval']
    assert find_versions(tmp_path, 'v1.0-mini') == ['v1.0-mini']
    with pytest.raises(ValueError, match='v1.0-trainval'):
        find_versions(tmp_path, 'v1.0')


def test_scenes_outside_the_splits_are_named(tmp_path):
    root = Tables({'scene-0061': 1, 'scene-0001': 1}).write(tmp_path)
    by_split, unplaced = scenes_by_split(NuScenes('v1.0-mini', str(root), verbose=False))
    assert [scene['name'] for scene in by_split['train']] == ['scene-0061']
    assert by_split['val'] == []
    assert unplaced == ['scene-0001']


def test_pose_matrix_maps_points_of_the_posed_frame():
    matrix = pose_matrix([1, 2, 3], Quaternion(axis=[0, 0, 1], degrees=90).elements)
    np.testing.assert_allclose(matrix @ [1, 0, 0, 1], [1, 3, 3, 1], atol=1e-12)
    np.testing.assert_allclose(invert_pose(matrix) @ matrix, np.eye(4), atol=1e-12)
    translation, rotation = ego_pose(1, 2.0)
    pose = pose_matrix(translation, rotation.elements)
    np.testing.assert_allclose(invert_pose(pose), np.linalg.inv(pose), atol=1e-9)


def test_real_keyframe(real_root):
    result = build(real_root)
    (info,) = result.infos
    assert info['sweeps'] == [] and result.missing_sweeps == 0
    assert info['gt_boxes'].shape == (68, 7)
    assert np.isnan(info['gt_velocity']).all()
    to_camera = np.linalg.inv(info['cams']['CAM_FRONT']['sensor2lidar_rotation'])
    np.testing.assert_allclose(to_camera @ [0, 1, 0], [0, 0, 1], atol=0.05)  # LiDAR's y looks where the camera does
