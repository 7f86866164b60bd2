"""The generated nuScenes set through both converters, the data set class and the devkit's evaluation."""

import numpy as np
import pytest
from nuscenes import NuScenes

from mmdet3d_plugin.datasets import NuScenesBEVDataset, SeededCBGSDataset
from mmdet3d_plugin.datasets.evaluation import ground_truth_results
from mmdet3d_plugin.datasets.infos.info_io import save_infos
from mmdet3d_plugin.datasets.infos.nuscenes_infos import build_infos
from mmdet3d_plugin.datasets.infos.nuscenes_infos_4d import build_infos_4d
from mmdet3d_plugin.datasets.infos.splits import scenes_by_split
from mmdet3d_plugin.synthetic import SyntheticConfig, generate


@pytest.fixture(scope='module')
def files(tiny_nuscenes, tmp_path_factory):
    """dict: (split, kind) -> path of an info file of the generated set."""
    return write_info_files(tiny_nuscenes, tmp_path_factory.mktemp('generated_infos'))


def write_info_files(root, folder):
    nusc, paths = NuScenes('v1.0-mini', str(root), verbose=False), {}
    for split, scenes in scenes_by_split(nusc)[0].items():
        base = build_infos(nusc, scenes)
        sequential = build_infos_4d(nusc, base.infos)
        assert base.missing_sweeps == sequential.missing_frames == 0
        for kind, infos in (('base', base.infos), ('4d', sequential.infos)):
            paths[split, kind] = str(folder / f'{split}_{kind}.pkl')
            save_infos(paths[split, kind], infos, 'v1.0-mini', split, kind=kind)
    return paths


@pytest.mark.parametrize('split', ['train', 'val'])
@pytest.mark.parametrize('kind', ['base', '4d'])
def test_ground_truth_as_predictions_scores_perfectly(files, tiny_nuscenes, split, kind):
    dataset = NuScenesBEVDataset(files[split, kind], str(tiny_nuscenes), test_mode=True)
    scores = dataset.evaluate(ground_truth_results(dataset))
    in_reach = {name for name in dataset.CLASSES if scores[f'{name}_AP'] > 0}
    assert len(in_reach) >= 5
    for name in in_reach:
        assert scores[f'{name}_AP'] > 0.99
        assert max(scores.get(f'{name}_{error}', 0) for error in ('ATE', 'ASE', 'AOE', 'AAE')) < 1e-3
        # Velocities lie in the LiDAR's x-y plane, which is tilted by about a degree: cos(1 degree) of 10 m/s is gone.
        assert scores.get(f'{name}_AVE', 0) < 5e-3


@pytest.fixture(scope='module')
def full_root(tmp_path_factory):
    """Data root of a set in which every class has a box with points in its evaluation range, in both splits."""
    config = SyntheticConfig(
        scenes=2, keyframes=4, image_width=48, image_height=27, extent=24.0, lidar_dropout=0.0, lidar_sweep_hz=2
    )
    return generate(tmp_path_factory.mktemp('full') / 'nuscenes', config, workers=1, progress=False)


@pytest.fixture(scope='module')
def full_files(full_root, tmp_path_factory):
    return write_info_files(full_root, tmp_path_factory.mktemp('full_infos'))


@pytest.mark.parametrize('split', ['train', 'val'])
@pytest.mark.parametrize('kind', ['base', '4d'])
def test_ground_truth_of_all_ten_classes_scores_perfectly(full_files, full_root, split, kind):
    """Boxes, velocities and attributes, by the devkit's own measure."""
    dataset = NuScenesBEVDataset(full_files[split, kind], str(full_root), test_mode=True)
    assert any(np.nanmax(np.abs(info['gt_velocity'])) > 1 for info in dataset.data_infos)
    scores = dataset.evaluate(ground_truth_results(dataset))
    assert scores['mAP'] > 0.99 and scores['NDS'] > 0.99
    assert max(scores[f'm{error}'] for error in ('ATE', 'ASE', 'AOE', 'AVE', 'AAE')) < 5e-3


def test_all_files_are_there_and_every_sample_has_previous_frames_but_the_first(files, tiny_nuscenes):
    dataset = NuScenesBEVDataset(files['train', '4d'], str(tiny_nuscenes))
    dataset.check_files(samples='all')
    assert [len(dataset.get_data_info(i)['prev']) for i in range(len(dataset))] == [0, 2, 4, 6] * 2


def points_held(points, boxes, margin):
    """(N,) number of points (M, 3) inside each of N boxes, each grown by ``margin`` on every side."""
    offset = points[:, None] - boxes.gravity_center.numpy()[None]
    cos, sin = np.cos(boxes.yaw.numpy()), np.sin(boxes.yaw.numpy())
    along, across = offset[..., 0] * cos + offset[..., 1] * sin, offset[..., 1] * cos - offset[..., 0] * sin
    inside = np.abs(np.stack([along, across, offset[..., 2]], axis=-1)) < boxes.dims.numpy() / 2 + margin
    return inside.all(axis=-1).sum(axis=0)


def test_boxes_hold_the_points_they_are_said_to_hold(files, tiny_nuscenes):
    dataset = NuScenesBEVDataset(files['train', '4d'], str(tiny_nuscenes))
    for index in range(len(dataset)):
        item = dataset.get_data_info(index)
        points = np.fromfile(item['pts_filename'], dtype=np.float32).reshape(-1, 5)
        held = points_held(points[:, :3], item['ann_info']['gt_bboxes_3d'], margin=0.05)  # range noise
        info = dataset.data_infos[index]
        said = info['num_lidar_pts'][info['num_lidar_pts'] > 0]
        assert (held > 0).mean() > 0.95
        assert np.corrcoef(held, said)[0, 1] > 0.98


def test_every_sweep_lands_on_the_ground_of_the_keyframe(files, tiny_nuscenes):
    """A flat world: points of all sweeps, moved into the keyframe's frame, share its ground plane."""
    item = NuScenesBEVDataset(files['train', 'base'], str(tiny_nuscenes)).get_data_info(3)
    assert len(item['sweeps']) == 10
    for sweep in item['sweeps']:
        points = np.fromfile(sweep['data_path'], dtype=np.float32).reshape(-1, 5)[:, :3]
        moved = points @ sweep['sensor2lidar_rotation'].T + sweep['sensor2lidar_translation']
        in_ego = moved @ item['lidar2ego'][:3, :3].T + item['lidar2ego'][:3, 3]
        assert abs(np.percentile(in_ego[:, 2], 20)) < 0.1
        assert 0 < item['timestamp'] - sweep['timestamp'] / 1e6 < 0.56


def test_velocities_move_boxes_to_where_the_next_keyframe_has_them(files, tiny_nuscenes):
    """Velocities are absolute: positions half a second later agree."""
    dataset = NuScenesBEVDataset(files['train', '4d'], str(tiny_nuscenes))
    moving = 0
    for index in (0, 1, 2, 4, 5, 6):
        now, then = dataset.data_infos[index], dataset.data_infos[index + 1]
        to_global = [
            (item['ego2global'] @ item['lidar2ego']) for item in map(dataset.get_data_info, (index, index + 1))
        ]
        seconds = (then['timestamp'] - now['timestamp']) / 1e6
        for box, velocity, later in zip(now['gt_boxes'], now['gt_velocity'], then['gt_boxes']):
            expected = to_global[0] @ [*(box[:2] + velocity * seconds), box[2], 1]
            np.testing.assert_allclose(expected[:2], (to_global[1] @ [*later[:3], 1])[:2], atol=0.02)
            moving += np.linalg.norm(velocity) > 1
    assert moving > 5


def test_class_balance_over_generated_data(files, tiny_nuscenes):
    config = dict(type='NuScenesBEVDataset', ann_file=files['train', '4d'], data_root=str(tiny_nuscenes))
    balanced = SeededCBGSDataset(config)
    labels = [balanced.dataset.get_cat_ids(index) for index in range(len(balanced.dataset))]
    assert len(balanced) >= len({label for ids in labels for label in ids})
    assert balanced.sample_indices == SeededCBGSDataset(config).sample_indices
