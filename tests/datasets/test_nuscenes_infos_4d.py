from pathlib import Path

import numpy as np
import pytest
from nuscenes import NuScenes
from nuscenes_tables import SPEED, Tables

from mmdet3d_plugin.datasets.infos.nuscenes_infos import CAMERAS, build_infos
from mmdet3d_plugin.datasets.infos.nuscenes_infos_4d import build_infos_4d
from mmdet3d_plugin.datasets.infos.splits import scenes_by_split


def build(root, **options):
    nusc = NuScenes('v1.0-mini', str(root), verbose=False)
    infos = build_infos(nusc, scenes_by_split(nusc)[0]['train']).infos
    return build_infos_4d(nusc, infos, **options)


def front_gaps(info):
    """Seconds from the front images of the previous frames to the keyframe's."""
    now = info['cams']['CAM_FRONT']['timestamp']
    return [(now - frame['timestamp']) / 1e6 for frame in info['prev']]


def test_frames_are_every_third_camera_sweep(infos_4d):
    info = infos_4d['train'][5 + 6]  # 3 s into the second scene, 36 camera frames before it
    assert len(info['prev']) == 12
    np.testing.assert_allclose(front_gaps(info), 0.25 * np.arange(1, 13), atol=2e-6)
    assert all(frame['timestamp'] < info['timestamp'] for frame in info['prev'])


def test_frames_end_after_sixty_sweeps(infos_4d):
    info = infos_4d['train'][-1]  # 6 s into the second scene: 72 camera frames before it
    assert len(info['prev']) == 20
    assert front_gaps(info)[-1] == pytest.approx(5.0, abs=1e-5)


def test_no_frame_crosses_the_border_of_a_scene(infos_4d):
    first, second = infos_4d['train'][:5], infos_4d['train'][5:]
    assert [len(info['prev']) for info in first] == [0, 2, 4, 6, 8]
    assert second[0]['prev'] == []  # although the tables chain the scenes' frames
    for number, infos in enumerate((first, second)):
        for frame in (frame for info in infos for frame in info['prev']):
            assert all(f'-{number}-' in cam['sample_data_token'] for cam in frame['cams'].values())


def test_interval_and_reach_are_settable(tables_root):
    info = build(tables_root, interval=2, max_prev=9).infos[5 + 4]
    np.testing.assert_allclose(front_gaps(info), np.arange(1, 5) / 6, atol=2e-6)


def test_each_camera_gives_its_image_nearest_in_time_with_its_own_pose(infos_4d):
    for frame in infos_4d['train'][8]['prev']:
        assert tuple(frame['cams']) == CAMERAS
        assert frame['timestamp'] == frame['cams']['CAM_FRONT']['timestamp']
        front = np.array(frame['cams']['CAM_FRONT']['ego2global_translation'])
        for name, cam in frame['cams'].items():
            seconds = (cam['timestamp'] - frame['timestamp']) / 1e6
            assert abs(seconds) < 1 / 24
            moved = np.array(cam['ego2global_translation']) - front
            assert np.linalg.norm(moved) == pytest.approx(SPEED * abs(seconds), abs=1e-4)
            assert name in cam['data_path'] and cam['cam_intrinsic'].shape == (3, 3)
            assert not Path(cam['data_path']).is_absolute()
            assert {'sensor2ego_translation', 'sensor2ego_rotation', 'ego2global_rotation'} <= set(cam)


def test_frame_with_a_missing_image_is_left_out_and_counted(tmp_path):
    root = Tables({'scene-0061': 2}).write(tmp_path)
    assert [len(info['prev']) for info in build(root).infos] == [0, 2]
    image = sorted((root / 'sweeps' / 'CAM_BACK_LEFT').iterdir())[2]  # 0.25 s after the start
    image.unlink()
    result = build(root)
    assert result.missing_frames == 1  # the last keyframe's first previous frame is that moment
    assert [len(info['prev']) for info in result.infos] == [0, 1]
    assert front_gaps(result.infos[1]) == [pytest.approx(0.5, abs=2e-6)]


def test_image_of_another_moment_does_not_stand_in(tmp_path):
    tables = Tables({'scene-0061': 3})
    for record in tables.tables['sample_data']:
        if record['filename'].startswith(('sweeps/CAM_BACK/', 'samples/CAM_BACK/')):
            record['timestamp'] -= 500_000
    root = tables.write(tmp_path)
    result = build(root)
    assert len(result.infos[-1]['prev']) == 3
    assert result.missing_frames == 1 + 1  # the oldest frame of the last two keyframes


def test_a_lone_keyframe_has_no_previous_frames(tmp_path):
    (info,) = build(Tables({'scene-0061': 1}).write(tmp_path)).infos
    assert info['prev'] == []


def test_a_4d_info_is_its_base_info_with_previous_frames(base_infos, infos_4d):
    for base, sequential in zip(base_infos['train'], infos_4d['train']):
        assert set(sequential) - set(base) == {'prev'}
        np.testing.assert_equal({key: sequential[key] for key in base}, base)
    still = (base['gt_velocity'] == 0).all(axis=1)
    assert still.any() and not still.all()  # absolute: what is parked stands, whatever the car's own speed


def test_workers_give_the_same_infos(tables_root, infos_4d):
    infos = build(tables_root, workers=2).infos
    assert [len(info['prev']) for info in infos] == [len(info['prev']) for info in infos_4d['train']]
    assert (
        infos[7]['prev'][1]['cams']['CAM_BACK']['data_path']
        == (infos_4d['train'][7]['prev'][1]['cams']['CAM_BACK']['data_path'])
    )
