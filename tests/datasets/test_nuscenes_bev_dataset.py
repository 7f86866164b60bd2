import json
import logging
import multiprocessing
import os
import pickle
import signal
import tempfile

import numpy as np
import pytest
import torch
from helpers.toy_models import toy_head_cfg
from mmcv.parallel import DataContainer
from mmdet3d.datasets import build_dataset
from mmdet3d.models.builder import build_head
from nuscenes_tables import SPEED, THINGS, Tables

from mmdet3d_plugin.datasets import NuScenesBEVDataset
from mmdet3d_plugin.datasets.evaluation import dataset_evaluation, ground_truth_results
from mmdet3d_plugin.datasets.infos.info_io import InfoFileError, save_infos


@pytest.fixture(params=['base', '4d'])
def dataset(request, info_files, tables_root):
    return NuScenesBEVDataset(info_files['train', request.param], str(tables_root), info_kind=request.param)


@pytest.fixture
def val(info_files, tables_root):
    return NuScenesBEVDataset(info_files['val', '4d'], str(tables_root), test_mode=True)


def _keep_token(results):
    return dict(sample_idx=results['sample_idx'])


def no_detections(dataset):
    empty = {key: value[:0] for key, value in ground_truth_results(dataset)[0]['pts_bbox'].items()}
    return [dict(pts_bbox=empty) for _ in range(len(dataset))]


def test_classes_are_in_the_order_of_the_tasks():
    names = 'car truck construction_vehicle bus trailer barrier motorcycle bicycle pedestrian traffic_cone'
    assert tuple(names.split()) == NuScenesBEVDataset.CLASSES


def test_item_has_the_keys_and_types_that_pipelines_start_from(dataset):
    item = dataset.get_data_info(7)
    assert set(item) == {
        *('sample_idx', 'scene_token', 'timestamp', 'pts_filename', 'sweeps', 'cams', 'prev', 'lidar2ego'),
        *('ego2global', 'ann_info', 'cameras', 'scene_poses', 'data_root'),
    }
    assert item['scene_token'] == 'scene-0553' and item['sample_idx'] == 'scene-0553-sample2'
    assert item['timestamp'] == pytest.approx(1_600_000_101.0)
    assert item['lidar2ego'].shape == item['ego2global'].shape == (4, 4)
    assert item['lidar2ego'].dtype == item['ego2global'].dtype == np.float64
    assert len(item['prev']) == (4 if dataset.metadata['kind'] == '4d' else 0)


def test_scenes_and_times_are_told_without_loading(dataset):
    times = dataset.scene_times()
    assert len(times) == len(dataset)
    assert times[7] == ('scene-0553', pytest.approx(1_600_000_101.0))
    poses = dataset.get_data_info(7)['scene_poses']
    assert poses.name == 'scene-0553' and poses.find(times[7][1]) == 2 and len(poses.times) == 13


def test_paths_of_an_item_exist(dataset, tables_root):
    item = dataset.get_data_info(7)
    frames = [item['cams'], *(frame['cams'] for frame in item['prev'])]
    paths = [item['pts_filename'], *(sweep['data_path'] for sweep in item['sweeps'])]
    paths += [cam['data_path'] for cams in frames for cam in cams.values()]
    assert len(paths) == 1 + 10 + 6 * len(frames)
    assert all(os.path.isfile(path) and path.startswith(str(tables_root)) for path in paths)


def test_items_do_not_share_state(dataset):
    first = dataset.get_data_info(7)
    first['cams']['CAM_FRONT']['data_path'] = first['sweeps'][0]['data_path'] = 'changed'
    first['ann_info']['gt_bboxes_3d'].tensor[:] = 0
    again = dataset.get_data_info(7)
    assert again['cams']['CAM_FRONT']['data_path'].endswith('.jpg')
    assert again['sweeps'][0]['data_path'].endswith('.bin')
    assert again['ann_info']['gt_bboxes_3d'].tensor.abs().sum() > 0


def test_sweeps_are_as_mmdet3d_s_loader_wants_them(dataset):
    item = dataset.get_data_info(7)
    sweep = item['sweeps'][0]
    assert item['timestamp'] - sweep['timestamp'] / 1e6 == pytest.approx(0.05, abs=1e-6)
    assert sweep['sensor2lidar_rotation'].shape == (3, 3) and sweep['sensor2lidar_translation'].shape == (3,)
    np.testing.assert_allclose(sweep['sensor2lidar_translation'][:2], [0, -SPEED * 0.05], atol=1e-3)


def test_velocities_are_absolute_in_both_kinds(info_files, tables_root, base_infos):
    for kind in ('base', '4d'):
        dataset = NuScenesBEVDataset(info_files['train', kind], str(tables_root), use_valid_flag=True)
        for index, info in enumerate(base_infos['train']):
            expected = info['gt_velocity'][info['valid_flag']]  # NaN where unknown
            boxes = dataset.get_ann_info(index)['gt_bboxes_3d']
            np.testing.assert_allclose(boxes.tensor[:, 7:].numpy(), expected, atol=1e-6)
            np.testing.assert_allclose(dataset.data_infos[index]['gt_velocity'], info['gt_velocity'], atol=1e-12)


def test_unknown_velocities_reach_the_loss_as_unknown(info_files, tables_root, base_infos):
    """From the info file through the augmentation and the filters to the head: no velocity loss, and no NaN."""
    (unknown,) = np.flatnonzero(np.isnan(base_infos['train'][0]['gt_velocity']).any(axis=1))
    name = base_infos['train'][0]['gt_names'][unknown]
    head = build_head(toy_head_cfg(4, range=(-51.2, -51.2, -5.0, 51.2, 51.2, 3.0), voxel=0.8))
    for kind in ('base', '4d'):
        dataset = NuScenesBEVDataset(
            info_files['train', kind],
            str(tables_root),
            use_valid_flag=True,
            filter_empty_gt=False,
            pipeline=[
                dict(type='LoadAnnotations3D'),
                dict(type='GlobalBEVAug', rot_range=(20, 20), flip_x_prob=1.0),
                dict(type='ObjectRangeFilter', point_cloud_range=[-51.2, -51.2, -5.0, 51.2, 51.2, 3.0]),
                dict(type='ObjectNameFilter', classes=NuScenesBEVDataset.CLASSES),
            ],
        )
        before = dataset.data_infos[0]['gt_velocity']
        sample = dataset[0]
        np.testing.assert_array_equal(dataset.data_infos[0]['gt_velocity'], before)
        boxes, labels = sample['gt_bboxes_3d'], torch.from_numpy(sample['gt_labels_3d'])
        rows = boxes.tensor.isnan()
        assert rows.sum() == 2 and rows.any(dim=1).sum() == 1 and rows[:, 7:].sum() == 2
        assert labels[rows.any(dim=1)].tolist() == [dataset.CLASSES.index(name)]
        predictions = head([torch.randn(1, 4, 32, 32)])
        for (maps,) in predictions:
            maps['vel'].retain_grad()
        losses = head.loss(predictions, [boxes[rows.any(dim=1)]], [labels[rows.any(dim=1)]])
        assert all(torch.isfinite(value) for value in losses.values())
        assert sum(losses[f'task{i}.loss_bbox'] for i in range(6)) > 0
        sum(losses.values()).backward()
        assert not any(maps['vel'].grad.any() for (maps,) in predictions)


def test_boxes_have_their_gravity_centre_where_it_was(dataset, base_infos):
    info = base_infos['train'][7]
    seen = info['num_lidar_pts'] > 0
    annotations = dataset.get_ann_info(7)
    np.testing.assert_allclose(annotations['gt_bboxes_3d'].gravity_center, info['gt_boxes'][seen, :3], atol=1e-5)
    np.testing.assert_allclose(annotations['gt_bboxes_3d'].tensor[:, 3:7], info['gt_boxes'][seen, 3:], atol=1e-6)
    expected = [dataset.CLASSES.index(name) if name != 'animal' else -1 for name in info['gt_names'][seen]]
    assert annotations['gt_labels_3d'].tolist() == expected
    assert annotations['gt_labels_3d'].dtype == np.int64


def test_sample_without_boxes(tmp_path, save_base_infos):
    things = [THINGS[-1]]  # annotated in the first keyframe only
    root = Tables({'scene-0061': 2}, things=things).write(tmp_path)
    dataset = NuScenesBEVDataset(save_base_infos(root), str(root))
    annotations = dataset.get_data_info(1)['ann_info']
    assert annotations['gt_bboxes_3d'].tensor.shape == (0, 9)
    assert annotations['gt_labels_3d'].shape == (0,) and annotations['gt_labels_3d'].dtype == np.int64
    assert dataset.get_cat_ids(1) == []


def test_training_replaces_samples_without_boxes_unless_told_not_to(tmp_path, save_base_infos):
    root = Tables({'scene-0061': 3}, things=[THINGS[-1]]).write(tmp_path)
    path = save_base_infos(root)

    def keep(results):
        labels = torch.from_numpy(results['ann_info']['gt_labels_3d'])
        return dict(sample_idx=results['sample_idx'], gt_labels_3d=DataContainer(labels))

    replaced = NuScenesBEVDataset(path, str(root), pipeline=[keep])
    assert [replaced[i]['sample_idx'] for i in range(3)] == ['scene-0061-sample0'] * 3
    kept = NuScenesBEVDataset(path, str(root), pipeline=[keep], filter_empty_gt=False)
    assert [kept[i]['sample_idx'] for i in range(3)] == [f'scene-0061-sample{i}' for i in range(3)]


def test_training_without_a_single_object_is_an_error_not_an_endless_search(tmp_path, save_base_infos):
    root = Tables({'scene-0061': 2}, things=[THINGS[14]]).write(tmp_path)
    path = save_base_infos(root)
    with pytest.raises(ValueError, match='no sample has an object'):
        NuScenesBEVDataset(path, str(root))
    assert len(NuScenesBEVDataset(path, str(root), test_mode=True)) == 2


def test_test_mode_gives_no_annotations(val):
    assert 'ann_info' not in val.get_data_info(0)


def test_load_interval_keeps_every_nth_sample(info_files, tables_root):
    dataset = NuScenesBEVDataset(info_files['train', 'base'], str(tables_root), load_interval=5)
    times = [dataset.get_data_info(i)['timestamp'] for i in range(len(dataset))]
    assert len(times) == 4 and times == sorted(times)


def test_wrong_kind_of_info_file(info_files, tables_root):
    with pytest.raises(InfoFileError, match='prepare_nuscenes_for_bevdet4d.py'):
        NuScenesBEVDataset(info_files['train', 'base'], str(tables_root), info_kind='4d')


def test_info_file_of_another_tool(tmp_path, tables_root):
    path = tmp_path / 'nuscenes_infos_train.pkl'
    path.write_bytes(pickle.dumps(dict(infos=[], metadata=dict(version='v1.0-mini'))))
    config = dict(type='NuScenesBEVDataset', ann_file=str(path), data_root=str(tables_root))
    with pytest.raises(InfoFileError, match='create_data.py'):
        build_dataset(config)


def test_missing_and_empty_info_files(tmp_path, tables_root):
    with pytest.raises(FileNotFoundError, match='create_data.py'):
        NuScenesBEVDataset(str(tmp_path / 'nuscenes_infos_train.pkl'), str(tables_root))
    save_infos(tmp_path / 'x.pkl', [], 'v1.0-mini', 'train')
    with pytest.raises(ValueError, match='holds no samples'):
        NuScenesBEVDataset(str(tmp_path / 'x.pkl'), str(tables_root))


def test_unknown_class_name(info_files, tables_root):
    with pytest.raises(ValueError, match='cars'):
        NuScenesBEVDataset(info_files['train', 'base'], str(tables_root), classes=['cars'])


def test_file_check_names_what_is_missing(tmp_path):
    root = Tables({'scene-0061': 3}).write(tmp_path)
    from nuscenes import NuScenes

    from mmdet3d_plugin.datasets.infos.nuscenes_infos import build_infos
    from mmdet3d_plugin.datasets.infos.nuscenes_infos_4d import build_infos_4d

    nusc = NuScenes('v1.0-mini', str(root), verbose=False)
    infos = build_infos_4d(nusc, build_infos(nusc, nusc.scene).infos).infos
    save_infos(root / 'infos.pkl', infos, 'v1.0-mini', 'train', kind='4d')

    def data_set(camera=True, lidar=True, test_mode=True):
        modality = dict(use_camera=camera, use_lidar=lidar)
        return NuScenesBEVDataset(str(root / 'infos.pkl'), str(root), modality=modality, test_mode=test_mode)

    data_set().check_files()
    sweep = infos[2]['sweeps'][4]['data_path']
    image = infos[2]['prev'][1]['cams']['CAM_BACK']['data_path']
    (root / sweep).unlink()
    with pytest.raises(FileNotFoundError, match=os.path.basename(sweep)):
        data_set(camera=False).check_files()
    data_set(lidar=False).check_files()
    with pytest.raises(FileNotFoundError, match=os.path.basename(sweep)):
        data_set(lidar=False, test_mode=False).check_files(samples='all')  # depth supervision needs points
    (root / image).unlink()
    with pytest.raises(FileNotFoundError, match='2 of .* checked files') as caught:
        data_set().check_files(samples='all')
    assert sweep in str(caught.value) and image in str(caught.value)
    with pytest.raises(ValueError, match='spot or all'):
        data_set().check_files(samples='some')


@pytest.mark.parametrize('kind', ['base', '4d'])
@pytest.mark.parametrize('split', ['train', 'val'])
def test_ground_truth_as_predictions_scores_perfectly(info_files, tables_root, kind, split):
    """The proof of box, velocity and frame conventions."""
    dataset = NuScenesBEVDataset(info_files[split, kind], str(tables_root), test_mode=True)
    scores = dataset.evaluate(ground_truth_results(dataset), metric='NDS')
    assert scores['mAP'] > 0.99 and scores['NDS'] > 0.99
    assert max(scores[f'm{name}'] for name in ('ATE', 'ASE', 'AOE', 'AVE', 'AAE')) < 5e-3


def test_velocity_errors_show_in_the_score(val):
    results = ground_truth_results(val)
    for result in results:
        result['pts_bbox']['boxes_3d'].tensor[:, 7] += 0.5
    assert val.evaluate(results)['mAVE'] == pytest.approx(0.5, abs=5e-3)


def test_turned_boxes_show_in_the_score(val):
    results = ground_truth_results(val)
    for result in results:
        result['pts_bbox']['boxes_3d'].tensor[:, 6] *= -1  # the old clockwise convention
    scores = val.evaluate(results)
    assert scores['mAOE'] > 0.5 and scores['mASE'] < 1e-3


def test_class_order_is_free(info_files, tables_root):
    classes = NuScenesBEVDataset.CLASSES[::-1]
    dataset = NuScenesBEVDataset(info_files['val', '4d'], str(tables_root), classes=classes, test_mode=True)
    assert dataset.evaluate(ground_truth_results(dataset))['NDS'] > 0.99


def test_evaluating_part_of_a_split(info_files, tables_root):
    dataset = NuScenesBEVDataset(info_files['train', '4d'], str(tables_root), load_interval=4, test_mode=True)
    assert dataset.evaluate(ground_truth_results(dataset))['mAP'] > 0.99


def test_no_detection_scores_zero(val):
    scores = val.evaluate(no_detections(val))
    assert scores['mAP'] == 0 and scores['mATE'] == 1


@pytest.mark.parametrize('metric', ['bbox', 'mAP', 'NDS', ['bbox'], ['mAP', 'NDS']])
def test_every_metric_name_runs_the_evaluation(val, metric):
    scores = val.evaluate(no_detections(val), metric=metric)
    assert {'mAP', 'NDS', 'mATE', 'mASE', 'mAOE', 'mAVE', 'mAAE', 'car_AP', 'bus_AVE', 'barrier_AOE'} <= set(scores)
    assert 'traffic_cone_AOE' not in scores and 'barrier_AVE' not in scores
    assert all(type(value) is float for value in scores.values())


def test_unknown_metric(val):
    with pytest.raises(ValueError, match="'AP50'.*bbox, mAP, NDS"):
        val.evaluate(no_detections(val), metric=['bbox', 'AP50'])


def test_table_goes_to_the_logger(val, caplog):
    with caplog.at_level(logging.INFO):
        val.evaluate(ground_truth_results(val), logger=logging.getLogger('evaluation'))
    lines = [line for line in caplog.text.splitlines() if line.split()[:1] and line.split()[0] in val.CLASSES]
    assert [line.split()[0] for line in lines] == list(val.CLASSES)
    assert lines[0].split()[1:] == ['1.000', '0.000', '0.000', '0.000', '0.000', '0.000']
    assert lines[-1].split()[4:] == ['-', '-', '-']
    assert 'NDS' in caplog.text and '3 samples' in caplog.text


def test_format_results_writes_a_submission(val, tmp_path):
    path, temporary = val.format_results(ground_truth_results(val), jsonfile_prefix=str(tmp_path / 'out'))
    assert temporary is None and path == str(tmp_path / 'out' / 'results_nusc.json')
    submission = json.loads((tmp_path / 'out' / 'results_nusc.json').read_text())
    assert submission['meta'] == dict(
        use_camera=True, use_lidar=True, use_radar=False, use_map=False, use_external=False
    )
    assert sorted(submission['results']) == [f'scene-0103-sample{k}' for k in range(3)]


def test_evaluate_keeps_the_submission_when_asked(val, tmp_path):
    val.evaluate(no_detections(val), jsonfile_prefix=str(tmp_path))
    assert (tmp_path / 'results_nusc.json').is_file()


def test_killed_evaluations_leave_nothing_for_good(val, tmp_path, monkeypatch):
    def die(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(dataset_evaluation, 'devkit_summary', die)
        given = dict(args=(no_detections(val),), kwargs=dict(backend='devkit'))
        process = multiprocessing.get_context('fork').Process(target=val.evaluate, **given)
        process.start()
        process.join()
    assert process.exitcode == -signal.SIGKILL and len(list(tmp_path.rglob('results_nusc.json'))) == 1
    val.evaluate(no_detections(val), backend='both')
    assert list(tmp_path.iterdir()) == []


def test_wrong_number_of_results(val):
    with pytest.raises(ValueError, match='2 results for the 3 samples'):
        val.evaluate(no_detections(val)[:2])


def test_plain_detection_dicts_are_accepted(val):
    results = [result['pts_bbox'] for result in ground_truth_results(val)]
    assert val.evaluate(results)['mAP'] > 0.99


def test_infos_are_held_in_one_array(dataset, info_files):
    assert dataset.data_infos.nbytes < os.path.getsize(info_files['train', dataset.metadata['kind']])


def test_loader_workers_give_the_same_items(info_files, tables_root):
    dataset = NuScenesBEVDataset(info_files['val', '4d'], str(tables_root), pipeline=[_keep_token], test_mode=True)
    loader = torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=1)
    assert [item['sample_idx'] for item in loader] == [f'scene-0103-sample{k}' for k in range(3)]


def test_real_keyframe(real_root, tmp_path):
    from nuscenes import NuScenes

    from mmdet3d_plugin.datasets.infos.nuscenes_infos import build_infos
    from mmdet3d_plugin.datasets.infos.nuscenes_infos_4d import build_infos_4d

    nusc = NuScenes('v1.0-mini', str(real_root), verbose=False)
    infos = build_infos_4d(nusc, build_infos(nusc, nusc.scene).infos).infos
    save_infos(tmp_path / 'infos.pkl', infos, 'v1.0-mini', 'train', kind='4d')
    dataset = NuScenesBEVDataset(str(tmp_path / 'infos.pkl'), str(real_root))
    dataset.check_files(samples='all')
    scores = dataset.evaluate(ground_truth_results(dataset))
    for name in ('car', 'truck', 'barrier', 'pedestrian', 'traffic_cone'):  # all that the keyframe shows
        assert scores[f'{name}_AP'] > 0.99
        assert max(scores[f'{name}_ATE'], scores[f'{name}_ASE'], scores.get(f'{name}_AOE', 0)) < 1e-3
