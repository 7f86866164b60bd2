"""Infos of sweeps between keyframes: which sweeps, which images, where they stand, and that a data set can use them."""

import runpy

import numpy as np
import pytest
from nuscenes_tables import CAMERA_DELAY, SPEED, Tables

from dualdistill_runtime.poses import sensor_to_global
from mmdet3d_plugin.datasets import LabelledAndUnlabelled, NuScenesBEVDataset
from mmdet3d_plugin.datasets.infos.info_io import InfoFileError, command_for, load_infos, save_infos
from mmdet3d_plugin.datasets.infos.tables import load_tables
from mmdet3d_plugin.datasets.infos.unlabelled_infos import build_unlabelled_infos, spread

START = 1_600_000_000_000_000  # us, of the first scene: LiDAR frames every 50 ms, images every 1/12 s


@pytest.mark.parametrize(
    'count, wanted, places',
    [(9, 1, [4]), (9, 2, [2, 6]), (9, 3, [1, 4, 7]), (9, 9, list(range(9))), (9, 20, list(range(9))), (0, 2, [])],
)
def test_sweeps_are_spread_evenly(count, wanted, places):
    assert spread(count, wanted) == places


@pytest.fixture(scope='module')
def infos(nusc):
    """One sweep between two keyframes of scene-0061 (five keyframes) and scene-0553 (13)."""
    scenes = [scene for scene in nusc.scene if scene['name'] != 'scene-0103']
    return build_unlabelled_infos(nusc, scenes, per_interval=1)


def test_the_middle_sweep_of_each_interval(infos):
    assert len(infos.infos) == 4 + 12 and infos.missing == 0
    first = infos.infos[0]
    assert first['scene_name'] == first['scene_token'] == 'scene-0061'
    assert [info['timestamp'] - START for info in infos.infos[:4]] == [250_000, 750_000, 1_250_000, 1_750_000]
    assert first['token'] == 'LIDAR_TOP-0-5' and first['lidar_path'].startswith('sweeps/LIDAR_TOP/')
    assert all(len(first[key]) == 0 for key in ('gt_boxes', 'gt_names', 'gt_velocity', 'valid_flag'))


def test_images_are_the_nearest_in_time(infos):
    for info in infos.infos:
        for name, record in info['cams'].items():
            seconds = (info['timestamp'] - START) % 100_000_000 / 1e6
            possible = np.arange(0, 400) / 12 + CAMERA_DELAY[name]
            off = abs(record['timestamp'] - info['timestamp']) / 1e6
            assert off == pytest.approx(np.abs(possible - seconds).min(), abs=2e-6)
            assert record['cam_intrinsic'].shape == (3, 3)


def test_geometry_is_that_of_the_sweep(infos):
    info = infos.infos[2]
    lidar = dict(sensor2ego_translation=info['lidar2ego_translation'], sensor2ego_rotation=info['lidar2ego_rotation'])
    lidar.update({key: info[key] for key in ('ego2global_translation', 'ego2global_rotation')})
    for record in [*info['sweeps'], *info['cams'].values()]:
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = record['sensor2lidar_rotation'], record['sensor2lidar_translation']
        np.testing.assert_allclose(sensor_to_global(lidar) @ pose, sensor_to_global(record), atol=1e-6)
    assert [info['timestamp'] - sweep['timestamp'] for sweep in info['sweeps'][:3]] == [50_000, 100_000, 150_000]
    assert len(info['sweeps']) == 10  # keyframes are among them
    np.testing.assert_allclose(info['sweeps'][0]['sensor2lidar_translation'][:2], [0, -SPEED * 0.05], atol=1e-3)
    assert len(infos.infos[0]['sweeps']) == 5  # never of another scene
    assert all(sweep['timestamp'] >= START + 100_000_000 for sweep in infos.infos[4]['sweeps'])


def test_earlier_camera_frames_are_as_in_4d_infos(infos):
    info = infos.infos[3]
    now = info['cams']['CAM_FRONT']['timestamp']
    times = [frame['timestamp'] for frame in info['prev']]
    assert times == [now - 250_000 * n for n in range(1, len(times) + 1)] and times[-1] - START == 0
    for frame in info['prev']:
        assert list(frame['cams']) == list(info['cams'])
        assert frame['cams']['CAM_FRONT']['timestamp'] == frame['timestamp']
        assert all(abs(record['timestamp'] - frame['timestamp']) <= 75_000 for record in frame['cams'].values())
    assert len(infos.infos[0]['prev']) == 1


def test_missing_files_and_images_too_far_off_are_left_out(tmp_path):
    root = Tables({'scene-0061': 3}).write(tmp_path)
    nusc = load_tables(root, 'v1.0-mini')
    (info, _) = build_unlabelled_infos(nusc, nusc.scene, 1).infos
    (root / info['cams']['CAM_BACK']['data_path']).unlink()
    (root / info['sweeps'][1]['data_path']).unlink()
    less = build_unlabelled_infos(nusc, nusc.scene, 1)
    assert len(less.infos) == 1 and less.missing == 1
    whole = build_unlabelled_infos(nusc, nusc.scene, 9)
    # the image was also the nearest of the sweep beside it
    assert len(whole.infos) + whole.missing == 18 and whole.missing >= 2
    assert build_unlabelled_infos(nusc, nusc.scene, 9, max_skew=0.001).infos == []
    with pytest.raises(ValueError, match='at least one sweep .* got 0'):
        build_unlabelled_infos(nusc, nusc.scene, 0)


def test_several_processes_make_the_same(nusc, infos):
    scenes = [scene for scene in nusc.scene if scene['name'] != 'scene-0103']
    again = build_unlabelled_infos(nusc, scenes, 1, workers=2)
    assert [info['token'] for info in again.infos] == [info['token'] for info in infos.infos]


@pytest.fixture
def file(infos, tmp_path):
    path = str(tmp_path / 'nuscenes_infos_train_unlabelled1.pkl')
    save_infos(path, infos.infos, 'v1.0-mini', 'train', 'unlabelled', interval=3, max_prev=60)
    return path


def test_a_data_set_of_sweeps(file, tables_root, info_files):
    dataset = NuScenesBEVDataset(file, str(tables_root), info_kind='unlabelled')
    assert len(dataset) == 16 and not dataset.is_labelled.any() and dataset.get_cat_ids(3) == []
    item = dataset.get_data_info(5)
    assert item['labelled'] is False and item['ann_info']['gt_bboxes_3d'].tensor.shape == (0, 9)
    assert item['scene_poses'].find(item['timestamp']) == 1  # motion is told from one sweep to the next
    dataset.check_files('all')
    some = NuScenesBEVDataset(file, str(tables_root), labelled=dict(scenes=['scene-0061'], use='labelled'))
    assert len(some) == 4 and not some.is_labelled.any()
    both = LabelledAndUnlabelled(
        dict(type='NuScenesBEVDataset', ann_file=info_files['train', '4d'], data_root=str(tables_root), info_kind='4d'),
        dict(ann_file=file, info_kind='unlabelled'),
    )
    assert [len(part) for part in both.datasets] == [18, 16]


def test_steps_for_both_families_take_a_sweep(file, tables_root):
    adjacent = dict(type='SelectAdjacentFrames', test_mode=True, test_index=0)
    item = NuScenesBEVDataset(file, str(tables_root), pipeline=[adjacent]).prepare_train_data(5)
    assert item['frame_dt'] == pytest.approx(0.25, abs=1e-3) and item['cam2lidar'].shape == (2, 6, 4, 4)
    queue = [
        dict(type='SelectKeyframeQueue', queue_length=3, test_mode=True),
        dict(type='LoadEgoMotion', motion_source='poses'),
    ]
    item = NuScenesBEVDataset(file, str(tables_root), pipeline=queue).prepare_train_data(7)
    assert np.diff(item['frame_times']).tolist() == pytest.approx([-0.5, -0.5], abs=1e-4)
    assert item['has_prev'].tolist() == [True, True, False]
    np.testing.assert_allclose(np.linalg.norm(item['can_bus'][0, 13:16]), SPEED, rtol=1e-3)


def test_the_kind_is_told_and_refused(file, tables_root, info_files):
    assert load_infos(file, 'unlabelled')['metadata']['kind'] == 'unlabelled'
    with pytest.raises(InfoFileError, match="expected infos of kind '4d', found 'unlabelled'"):
        load_infos(file, '4d')
    with pytest.raises(InfoFileError, match="expected infos of kind 'unlabelled'.*create_data.py"):
        load_infos(info_files['train', 'base'], 'unlabelled')
    assert command_for('data/nuscenes_infos_train_unlabelled3.pkl', 'unlabelled').endswith('--unlabelled-sweeps 3')


@pytest.fixture
def create_data(repo_root):
    """Function: words of the command line of ``tools/create_data.py``."""
    return runpy.run_path(str(repo_root / 'tools' / 'create_data.py'))['main']


def test_the_tool_writes_them_for_training_and_test(create_data, tmp_path, capsys):
    root = Tables({'scene-0061': 3, 'scene-0103': 2}).write(tmp_path / 'mini')
    words = ['nuscenes', '--root-path', str(root), '--version', 'v1.0-mini', '--unlabelled-sweeps', '2']
    create_data(words)
    assert 'train: 4 unlabelled sweeps -> ' in capsys.readouterr().out
    names = {path.name for path in root.glob('*.pkl')}
    assert names == {f'nuscenes_infos_{name}.pkl' for name in ('train', 'val', 'train_unlabelled2')}
    data = load_infos(str(root / 'nuscenes_infos_train_unlabelled2.pkl'))
    assert data['metadata']['origin']['scenes'] == ['scene-0061'] and len(data['infos']) == 4


def test_a_test_set_without_annotations(create_data, tmp_path):
    """v1.0-test: keyframes and sweeps alike are unlabelled."""
    root = Tables({'scene-0077': 3}, version='v1.0-test', things=()).write(tmp_path)
    words = ['nuscenes', '--root-path', str(root), '--version', 'v1.0-test', '--unlabelled-sweeps', '1']
    create_data(words)
    sweeps = NuScenesBEVDataset(str(root / 'nuscenes_infos_test_unlabelled1.pkl'), str(root))
    keys = NuScenesBEVDataset(str(root / 'nuscenes_infos_test.pkl'), str(root), labelled=dict(scenes=[]))
    assert (len(sweeps), len(keys)) == (2, 3) and not keys.is_labelled.any()
