"""The generated tree as the nuScenes devkit sees it."""

from collections import defaultdict

import cv2
import numpy as np
import pytest
from nuscenes.utils.data_classes import LidarPointCloud
from nuscenes.utils.geometry_utils import points_in_box
from nuscenes.utils.splits import create_splits_scenes

from mmdet3d_plugin.synthetic.classes import CLASS_NAMES, SPECS
from mmdet3d_plugin.synthetic.config import SyntheticConfig
from mmdet3d_plugin.synthetic.tables import TABLES, scene_names, visibility_token


def chain(nusc, table, first):
    tokens = []
    token = first
    while token:
        record = nusc.get(table, token)
        assert record['prev'] == (tokens[-1] if tokens else '')
        tokens.append(token)
        token = record['next']
    return tokens


def test_all_tables_and_tokens(tiny_nusc, tiny_nuscenes):
    assert {p.stem for p in (tiny_nuscenes / 'v1.0-mini').glob('*.json')} == set(TABLES)
    seen = [record['token'] for name in TABLES for record in getattr(tiny_nusc, name)]
    assert len(seen) == len(set(seen))
    assert tiny_nusc.map[0]['mask'].mask().ndim == 2
    assert sorted(tiny_nusc.map[0]['log_tokens']) == sorted(log['token'] for log in tiny_nusc.log)


def test_scene_names_are_official(tiny_nusc):
    splits = create_splits_scenes()
    names = [scene['name'] for scene in tiny_nusc.scene]
    assert sum(name in splits['mini_train'] for name in names) == 2
    assert sum(name in splits['mini_val'] for name in names) == 1


def test_full_size_scene_names():
    splits = create_splits_scenes()
    mini = scene_names(SyntheticConfig())
    assert set(mini) == set(splits['mini_train'] + splits['mini_val'])
    large = scene_names(SyntheticConfig(version='v1.0-trainval', scenes=20))
    assert [n in splits['val'] for n in large] == [False] * 16 + [True] * 4


def test_samples_and_recordings_are_linked(tiny_nusc, tiny_nuscenes, tiny_config):
    for scene in tiny_nusc.scene:
        samples = chain(tiny_nusc, 'sample', scene['first_sample_token'])
        assert len(samples) == scene['nbr_samples'] == 4 and samples[-1] == scene['last_sample_token']
        for channel, token in tiny_nusc.get('sample', samples[0])['data'].items():
            records = [tiny_nusc.get('sample_data', t) for t in chain(tiny_nusc, 'sample_data', token)]
            rate = 20 if channel == 'LIDAR_TOP' else 12
            assert len(records) == 1 + 3 * rate // 2
            stamps = np.array([r['timestamp'] for r in records])
            assert np.allclose(np.diff(stamps) * 1e-6, 1 / rate, atol=4e-3)
            keys = [r for r in records if r['is_key_frame']]
            assert [r['sample_token'] for r in keys] == samples
            for record in records:
                sample = tiny_nusc.get('sample', record['sample_token'])
                # A sweep belongs to the keyframe that follows it.
                assert -50_000 <= sample['timestamp'] - record['timestamp'] < 550_000
                assert record['filename'].startswith('samples/' if record['is_key_frame'] else 'sweeps/')
                assert str(record['timestamp']) in record['filename']
                assert (tiny_nuscenes / record['filename']).is_file()
                assert tiny_nusc.get('ego_pose', record['ego_pose_token'])['timestamp'] == record['timestamp']
            assert all(r['timestamp'] == tiny_nusc.get('sample', r['sample_token'])['timestamp'] for r in keys) == (
                channel == 'LIDAR_TOP'
            )


def test_no_stray_files(tiny_nusc, tiny_nuscenes):
    files = {str(p.relative_to(tiny_nuscenes)) for d in ('samples', 'sweeps') for p in (tiny_nuscenes / d).rglob('*.*')}
    assert files == {record['filename'] for record in tiny_nusc.sample_data}


def test_cameras_fire_as_the_lidar_passes(tiny_nusc):
    """Trigger offsets of the real rig, to 2 ms: they were read off a recorded nuScenes keyframe."""
    recorded = dict(CAM_FRONT_LEFT=-43.1, CAM_FRONT=-35.5, CAM_FRONT_RIGHT=-27.6, CAM_BACK_RIGHT=-20.1, CAM_BACK=-10.4,
                    CAM_BACK_LEFT=-0.5)  # fmt: skip
    for sample in tiny_nusc.sample:
        for channel, offset in recorded.items():
            stamp = tiny_nusc.get('sample_data', sample['data'][channel])['timestamp']
            assert (stamp - sample['timestamp']) / 1000 == pytest.approx(offset, abs=2.0)


def test_images_and_intrinsics(tiny_nusc, tiny_nuscenes):
    for record in tiny_nusc.sample_data[::37]:
        if record['fileformat'] == 'jpg':
            image = cv2.imread(str(tiny_nuscenes / record['filename']))
            assert image.shape == (90, 160, 3) == (record['height'], record['width'], 3)
            assert image.std() > 5
            calib = tiny_nusc.get('calibrated_sensor', record['calibrated_sensor_token'])
            assert np.allclose(np.array(calib['camera_intrinsic'])[:2, 2], (80, 45), atol=6)


def test_point_files(tiny_nusc, tiny_nuscenes):
    for record in tiny_nusc.sample_data:
        if record['fileformat'] == 'pcd':
            points = np.fromfile(tiny_nuscenes / record['filename'], dtype=np.float32).reshape(-1, 5)
            assert len(points) > 3000 and np.isfinite(points).all()
            assert points[:, 3].min() >= 0 and points[:, 3].max() <= 255
            assert set(np.unique(points[:, 4])) <= set(range(24))
            assert np.linalg.norm(points[:, :3], axis=1).max() < 70.1


def test_lidar_point_counts_match_the_devkit(tiny_nusc):
    for sample in tiny_nusc.sample:
        path, boxes, _ = tiny_nusc.get_sample_data(sample['data']['LIDAR_TOP'])
        points = LidarPointCloud.from_file(path).points[:3]
        for box in boxes:
            annotation = tiny_nusc.get('sample_annotation', box.token)
            assert annotation['num_lidar_pts'] == points_in_box(box, points).sum()
            assert annotation['num_radar_pts'] == 0


def test_velocity_attribute_and_size_come_from_the_world(tiny_nusc, tiny_worlds):
    names = {scene['token']: i for i, scene in enumerate(tiny_nusc.scene)}
    attribute = {a['token']: a['name'] for a in tiny_nusc.attribute}
    moving = defaultdict(set)
    for i, instance in enumerate(tiny_nusc.instance):
        tokens = chain(tiny_nusc, 'sample_annotation', instance['first_annotation_token'])
        assert len(tokens) == instance['nbr_annotations'] == 4 and tokens[-1] == instance['last_annotation_token']
        for token in tokens:
            record = tiny_nusc.get('sample_annotation', token)
            scene = names[tiny_nusc.get('sample', record['sample_token'])['scene_token']]
            world = tiny_worlds[scene]
            row = i - scene * len(world.labels)
            label = world.labels[row]
            assert record['category_name'] == SPECS[label].category
            velocity = tiny_nusc.box_velocity(token)
            np.testing.assert_allclose(velocity[:2], world.state[row, 2:4], atol=2e-5)
            assert velocity[2] == 0
            speed = np.hypot(*velocity[:2])
            if speed > 0.1:
                forward = tiny_nusc.get_box(token).orientation.rotation_matrix[:2, 0]
                np.testing.assert_allclose(velocity[:2] / speed, forward, atol=1e-4)
            shown = [attribute[t] for t in record['attribute_tokens']]
            spec = SPECS[label]
            assert shown == [a for a in [spec.attribute if speed > 0.1 else spec.attribute_still] if a]
            moving[label].add(speed > 0.1)
            assert record['translation'][2] == pytest.approx(record['size'][2] / 2)
    assert set(moving) == set(CLASS_NAMES)
    assert moving['barrier'] == moving['traffic_cone'] == {False}
    assert True in moving['car'] | moving['pedestrian']


def test_visibility_bins():
    assert [visibility_token(v, 100) for v in (0, 39, 40, 59, 60, 79, 80, 100)] == list('11223344')
    assert visibility_token(0, 0) == '1'
