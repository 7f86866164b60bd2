"""Other cameras than nuScenes' six, from the tables to the arrays that a detector gets."""

import numpy as np
import pytest
from nuscenes import NuScenes
from nuscenes_tables import CAMERA_YAW, Tables

from dualdistill_runtime.cameras import camera_order, reference_camera
from mmdet3d_plugin.datasets import NuScenesBEVDataset
from mmdet3d_plugin.datasets.evaluation import ground_truth_results
from mmdet3d_plugin.datasets.infos.cameras import CAMERAS, choose_cameras
from mmdet3d_plugin.datasets.infos.info_io import load_infos, save_infos
from mmdet3d_plugin.datasets.infos.nuscenes_infos import build_infos
from mmdet3d_plugin.datasets.infos.nuscenes_infos_4d import build_infos_4d
from mmdet3d_plugin.datasets.pipelines import NUSCENES_CAMERAS, SelectAdjacentFrames
from mmdet3d_plugin.virtual_points.jobs import list_tasks
from mmdet3d_plugin.virtual_points.sweeps import load_sweep

RIGS = {
    'five': dict(LEFT=1.3, CAM_FRONT=0.0, RIGHT=-1.3, CAM_BACK=np.pi, ROOF=0.5),
    'seven': dict(CAMERA_YAW, ROOF=0.5),
    'strange': dict(LEFT=1.3, RIGHT=-1.3),
}
FRAMES = dict(type='SelectAdjacentFrames', min_index=0, max_index=1)


@pytest.fixture(scope='module', params=list(RIGS))
def own(request, tmp_path_factory):
    """(NuScenes, data root, 4-D info file, camera names) of one scene."""
    names = tuple(RIGS[request.param])
    folder = tmp_path_factory.mktemp(request.param)
    root = Tables({'scene-0103': 3}, cameras=RIGS[request.param]).write(folder)
    nusc = NuScenes('v1.0-mini', str(root), verbose=False)
    base = build_infos(nusc, nusc.scene, cameras=choose_cameras(nusc, names))
    result = build_infos_4d(nusc, base.infos)
    assert result.missing_frames == 0 and result.frames > 0
    save_infos(root / 'infos.pkl', result.infos, 'v1.0-mini', 'val', kind='4d')
    return nusc, root, str(root / 'infos.pkl'), names


def test_info_files_hold_and_record_the_cameras(own):
    nusc, _, path, names = own
    data = load_infos(path, '4d')
    assert data['metadata']['cameras'] == list(names)
    reference = 'CAM_FRONT' if 'CAM_FRONT' in names else names[0]
    for info in data['infos']:
        assert tuple(info['cams']) == names
        for frame in info['prev']:
            assert tuple(frame['cams']) == names
            assert frame['timestamp'] == frame['cams'][reference]['timestamp']


def test_the_pipeline_gets_every_camera_in_a_fixed_order(own):
    _, root, path, names = own
    dataset = NuScenesBEVDataset(path, str(root), pipeline=[FRAMES], info_kind='4d', test_mode=True)
    assert dataset.cameras == names
    sample = dataset[2]
    order = camera_order(names)
    assert sorted(order) == sorted(names)
    assert [name for name in order if name in NUSCENES_CAMERAS] == [name for name in NUSCENES_CAMERAS if name in names]
    for frame in sample['frames']:
        assert tuple(record['type'] for record in frame) == order
    assert sample['intrins'].shape == (2, len(names), 3, 3) and sample['cam2lidar'].shape == (2, len(names), 4, 4)
    assert sample['frame_dt'] == pytest.approx(0.25, abs=1e-5)  # three frames at 12 Hz


def test_ground_truth_scores_perfectly_whatever_the_cameras(own):
    _, root, path, _ = own
    dataset = NuScenesBEVDataset(path, str(root), test_mode=True)
    scores = dataset.evaluate(ground_truth_results(dataset))
    assert scores['mAP'] == pytest.approx(1.0) and scores['NDS'] > 0.999


def test_a_config_for_other_cameras_is_refused_before_any_sample(own):
    _, root, path, names = own
    step = dict(FRAMES, cameras=[names[-1], names[0]])
    dataset = NuScenesBEVDataset(path, str(root), pipeline=[step], test_mode=True)  # fewer, in another order: a choice
    assert [record['type'] for record in dataset[1]['frames'][0]] == [names[-1], names[0]]
    for wrong in (dict(cameras=[*names, 'CAM_TOP']), dict(reference_camera='CAM_TOP')):
        with pytest.raises(ValueError, match=f'infos.pkl: .*wants CAM_TOP, but .*{names[-1]}.*cameras'):
            NuScenesBEVDataset(path, str(root), pipeline=[dict(FRAMES, **wrong)], test_mode=True)


def test_virtual_points_look_at_the_chosen_cameras(own):
    nusc, _, _, names = own
    tasks = list_tasks(nusc, nusc.scene, 0.1, cameras=names)
    assert len(tasks) == 21 and {task.far_images for task in tasks} == {0}
    assert [image.channel for image in load_sweep(nusc, tasks[5]).images] == list(names)


def test_choosing_cameras(own, capsys):
    nusc, _, _, names = own
    assert choose_cameras(nusc, names[1:]) == names[1:]
    assert f'not used: {names[0]} ' in capsys.readouterr().out
    with pytest.raises(ValueError, match=f'no camera CAM_TOP. Its cameras are: {" ".join(names)}. .*--cameras'):
        choose_cameras(nusc, ['CAM_TOP', names[0]])
    with pytest.raises(ValueError, match='no camera LIDAR_TOP'):
        choose_cameras(nusc, ['LIDAR_TOP'])
    with pytest.raises(ValueError, match=f'{names[0]} is named twice'):
        choose_cameras(nusc, [names[0], names[0]])
    if set(CAMERAS) <= set(names):
        assert choose_cameras(nusc) == CAMERAS
    else:
        with pytest.raises(ValueError, match='no camera .*CAM_FRONT_RIGHT'):
            choose_cameras(nusc)


def test_a_missing_image_of_a_chosen_camera_is_an_error_of_another_is_not(tmp_path):
    root = Tables({'scene-0103': 2}, cameras=RIGS['five']).write(tmp_path)
    nusc = NuScenes('v1.0-mini', str(root), verbose=False)
    next((root / 'samples' / 'ROOF').iterdir()).unlink()
    assert len(build_infos(nusc, nusc.scene, cameras=('CAM_FRONT', 'LEFT')).infos) == 2
    with pytest.raises(FileNotFoundError, match=r'1 keyframe file\(s\) are missing: samples/ROOF/'):
        build_infos(nusc, nusc.scene, cameras=('CAM_FRONT', 'ROOF'))


def test_a_sample_without_one_of_the_data_set_s_cameras_is_named(own):
    _, root, path, names = own
    item = NuScenesBEVDataset(path, str(root), test_mode=True).get_data_info(1)
    del item['cams'][names[-1]]
    with pytest.raises(KeyError, match=f'scene-0103-sample1 has no camera {names[-1]!r}'):
        SelectAdjacentFrames(test_mode=True)(item)


def test_order_and_reference_of_nuscenes_six_stay():
    assert camera_order(CAMERAS) == camera_order(sorted(CAMERAS)) == NUSCENES_CAMERAS
    assert reference_camera(CAMERAS) == 'CAM_FRONT' and reference_camera(('B', 'A')) == 'B'


@pytest.mark.parametrize('cameras', [[], ['CAM_FRONT', 'CAM_FRONT']])
def test_camera_lists_of_a_config_name_each_once(cameras):
    with pytest.raises(ValueError, match='each once'):
        SelectAdjacentFrames(cameras=cameras)
