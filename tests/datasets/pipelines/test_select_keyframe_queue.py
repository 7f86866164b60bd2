"""Which keyframes are in the queue, and what is known about each."""

import random

import numpy as np
import pytest
import torch
from helpers import nuscenes_batch
from nuscenes import NuScenes
from pyquaternion import Quaternion

from mmdet3d_plugin.datasets import NuScenesBEVDataset
from mmdet3d_plugin.datasets.pipelines import SelectKeyframeQueue

START = 1_600_000_000  # s
CAMERAS = ('CAM_FRONT', 'CAM_BACK')


def _keyframe(number):
    """A keyframe ``number`` half seconds after the start; the car is at x = ``number`` metres and turns."""
    ego2global = np.eye(4)
    ego2global[:3, :3] = Quaternion(axis=[0, 0, 1], angle=0.1 * number).rotation_matrix
    ego2global[:3, 3] = [number, 0, 0]
    lidar2ego = np.eye(4)
    lidar2ego[:3, 3] = [0.9, 0, 1.8]
    cams = {
        name: dict(
            data_path=f'{name}{number}.jpg',
            timestamp=int((START + 0.5 * number) * 1e6) + 1000 * index,
            cam_intrinsic=np.diag([400.0 + number, 400, 1]),
            sensor2ego_translation=[1.5, 0.1 * index, 1.5],
            sensor2ego_rotation=list(Quaternion(axis=[0, 1, 0], angle=0.3 + index)),
            ego2global_translation=[number + 0.01 * index, 0, 0],
            ego2global_rotation=list(Quaternion(axis=[0, 0, 1], angle=0.1 * number)),
        )
        for index, name in enumerate(CAMERAS)
    }
    return dict(sample_idx=f'k{number}', timestamp=START + 0.5 * number, cams=cams, lidar2ego=lidar2ego,
                ego2global=ego2global)  # fmt: skip


def _sample(number, num_earlier):
    """Keyframe ``number`` with the ``num_earlier`` ones before it."""
    earlier = [_keyframe(number - 1 - i) for i in range(num_earlier)]
    return dict(_keyframe(number), cameras=CAMERAS, earlier_keyframes=earlier)


def test_testing_takes_the_keyframes_right_before():
    results = SelectKeyframeQueue(test_mode=True)(_sample(9, 4))
    assert results['frame_tokens'] == ['k9', 'k8', 'k7', 'k6']
    assert results['has_prev'].tolist() == [True, True, True, False] and results['has_prev'].dtype == bool
    np.testing.assert_allclose(results['frame_times'] - START, [4.5, 4.0, 3.5, 3.0])
    assert results['frame_dt'] == pytest.approx(0.5)
    assert [[camera['data_path'] for camera in frame] for frame in results['frames']] == [
        [f'CAM_FRONT{n}.jpg', f'CAM_BACK{n}.jpg'] for n in (9, 8, 7, 6)
    ]


def test_training_drops_one_of_the_previous_four_and_keeps_the_order():
    seen = {tuple(SelectKeyframeQueue()(_sample(9, 4))['frame_tokens']) for _ in range(60)}
    previous = ['k8', 'k7', 'k6', 'k5']
    assert seen == {('k9', *(token for token in previous if token != dropped)) for dropped in previous}


@pytest.mark.parametrize(
    'known, dropped, tokens, has_prev',
    [
        (0, 0, ['k9', 'k9', 'k9', 'k9'], [0, 0, 0, 0]),  # the scene starts here
        (1, 0, ['k9', 'k9', 'k9', 'k9'], [0, 0, 0, 0]),  # the only earlier one is dropped
        (1, 2, ['k9', 'k8', 'k8', 'k8'], [1, 0, 0, 0]),
        (2, 0, ['k9', 'k7', 'k7', 'k7'], [1, 0, 0, 0]),
        (2, 1, ['k9', 'k8', 'k8', 'k8'], [1, 0, 0, 0]),
        (2, 3, ['k9', 'k8', 'k7', 'k7'], [1, 1, 0, 0]),
        (3, 3, ['k9', 'k8', 'k7', 'k6'], [1, 1, 1, 0]),
        (3, 1, ['k9', 'k8', 'k6', 'k6'], [1, 1, 0, 0]),
        (4, 1, ['k9', 'k8', 'k6', 'k5'], [1, 1, 1, 0]),
    ],
)
def test_a_scene_that_starts_inside_the_queue(monkeypatch, known, dropped, tokens, has_prev):
    """The oldest chosen keyframe stands in for those that are not there, and nothing is remembered from its copies."""
    monkeypatch.setattr(random, 'randrange', lambda stop: dropped)
    results = SelectKeyframeQueue()(_sample(9, known))
    assert results['frame_tokens'] == tokens
    assert results['has_prev'].tolist() == [bool(value) for value in has_prev]
    assert results['frame2cur'].shape == results['ego2global'].shape == (4, 4, 4)
    for frame, token in enumerate(tokens):
        first = tokens.index(token)
        np.testing.assert_array_equal(results['frame2cur'][frame], results['frame2cur'][first])
        np.testing.assert_array_equal(results['cam2lidar'][frame], results['cam2lidar'][first])
        assert results['ego2global'][frame][0, 3] == int(token[1:])
    assert results['frame_dt'] == pytest.approx(0.5 * (9 - int(tokens[1][1:])) or 1 / 12)


def test_places_by_hand():
    """A point ahead of an earlier keyframe's LiDAR, by quaternion arithmetic alone, is where the matrices put it."""
    results = SelectKeyframeQueue(test_mode=True)(_sample(9, 4))
    point = np.array([4.0, -2.0, 0.5])
    np.testing.assert_array_equal(results['frame2cur'][0], np.eye(4))
    for frame, number in enumerate((9, 8, 7, 6)):
        to_global = Quaternion(axis=[0, 0, 1], angle=0.1 * number).rotate(point + [0.9, 0, 1.8]) + [number, 0, 0]
        in_ego = Quaternion(axis=[0, 0, 1], angle=-0.9).rotate(to_global - [9, 0, 0])
        expected = in_ego - [0.9, 0, 1.8]
        np.testing.assert_allclose((results['frame2cur'][frame] @ [*point, 1])[:3], expected, atol=1e-9)
        # the back camera fired when the car was a centimetre further on
        mount = Quaternion(axis=[0, 1, 0], angle=1.3)
        from_camera = mount.rotate(point) + [1.5, 0.1, 1.5]
        from_camera = Quaternion(axis=[0, 0, 1], angle=0.1 * number).rotate(from_camera) + [number + 0.01, 0, 0]
        in_ego = Quaternion(axis=[0, 0, 1], angle=-0.1 * number).rotate(from_camera - [number, 0, 0])
        np.testing.assert_allclose(
            (results['cam2lidar'][frame, 1] @ [*point, 1])[:3], in_ego - [0.9, 0, 1.8], atol=1e-9
        )


def test_a_queue_of_one_is_the_current_frame():
    step, sample = SelectKeyframeQueue(queue_length=1), _sample(9, 1)
    assert step.earlier_keyframes == 0
    del sample['earlier_keyframes']  # a data set hands over none that nobody asks for
    results = step(sample)
    assert results['frame_tokens'] == ['k9'] and results['has_prev'].tolist() == [False]
    assert results['frame2cur'].shape == (1, 4, 4) and results['frame_dt'] == 1 / 12


def test_the_draw_follows_the_seed_and_inputs_stay_as_they_are():
    def draws():
        random.seed(3)
        return [SelectKeyframeQueue()(_sample(9, 4))['frame_tokens'] for _ in range(10)]

    assert draws() == draws()
    sample, untouched = _sample(9, 4), _sample(9, 4)
    SelectKeyframeQueue()(dict(sample))
    np.testing.assert_equal(sample, untouched)


def test_errors():
    with pytest.raises(ValueError, match='queue_length .* got 0'):
        SelectKeyframeQueue(queue_length=0)
    with pytest.raises(KeyError, match='sample k9 comes without `earlier_keyframes`.*NuScenesBEVDataset'):
        SelectKeyframeQueue()(_keyframe(9))
    with pytest.raises(ValueError, match='sample k9: the previous frame CAM_FRONT10.jpg .* not older'):
        SelectKeyframeQueue(test_mode=True)(dict(_keyframe(9), cameras=CAMERAS, earlier_keyframes=[_keyframe(10)]))


QUEUE = dict(type='SelectKeyframeQueue', test_mode=True)


def test_the_data_set_hands_over_keyframes_of_the_same_scene(info_files, tables_root):
    plain = NuScenesBEVDataset(info_files['train', 'base'], str(tables_root), test_mode=True)
    dataset = NuScenesBEVDataset(info_files['train', 'base'], str(tables_root), pipeline=[QUEUE], test_mode=True)
    assert 'earlier_keyframes' not in plain.get_data_info(7)
    for index in range(len(dataset)):
        item = dataset.get_data_info(index)
        count = min(4, index if index < 5 else index - 5)  # five keyframes of the first scene, then the second
        assert len(item['earlier_keyframes']) == count
        for back, keyframe in enumerate(item['earlier_keyframes'], 1):
            other = plain.get_data_info(index - back)
            assert other['scene_token'] == item['scene_token']
            np.testing.assert_equal(keyframe, {key: other[key] for key in keyframe})
    assert dataset.get_data_info(-1)['earlier_keyframes'][0]['sample_idx'] == 'scene-0553-sample11'


def test_a_scene_border_inside_the_queue(info_files, tables_root):
    dataset = NuScenesBEVDataset(info_files['train', 'base'], str(tables_root), pipeline=[QUEUE], test_mode=True)
    for index, tokens, has_prev in (
        (0, ['0061-sample0'] * 4, [0, 0, 0, 0]),
        (4, ['0061-sample4', '0061-sample3', '0061-sample2', '0061-sample1'], [1, 1, 1, 0]),
        (5, ['0553-sample0'] * 4, [0, 0, 0, 0]),
        (6, ['0553-sample1'] + ['0553-sample0'] * 3, [1, 0, 0, 0]),
    ):
        sample = dataset[index]
        assert sample['frame_tokens'] == [f'scene-{token}' for token in tokens]
        assert sample['has_prev'].tolist() == [bool(value) for value in has_prev]


def test_a_batch_of_queues(tiny_nuscenes, tmp_path):
    """Through loading, augmentation and formatting, beside a sample whose scene starts inside the queue."""
    ann_file = nuscenes_batch.write_infos(nuscenes_batch.load_tables(tiny_nuscenes), tmp_path, 'base')
    train, _ = nuscenes_batch.distill_pipelines(teacher_sweeps=0)
    keys = [*train[-1]['keys'], 'has_prev', 'ego2global']
    pipeline = [dict(type='SelectKeyframeQueue'), *train[1:-1], dict(type='FormatBEVInputs', keys=keys)]
    dataset = nuscenes_batch.build(tiny_nuscenes, ann_file, pipeline)
    batch = nuscenes_batch.batch_of([dataset[3], dataset[4]])
    assert batch['img'].shape == (2, 4, 6, 3, 96, 256) and batch['frame2cur'].shape == (2, 4, 4, 4)
    assert batch['has_prev'].dtype == torch.bool and batch['has_prev'][:, 0].tolist() == [True, False]
    assert batch['ego2global'].dtype == torch.float32 and batch['ego2global'].shape == (2, 4, 4, 4)
    assert torch.equal(batch['img'][1, 0], batch['img'][1, 3])  # a lone keyframe four times
    for meta in batch['img_metas']:
        assert len(meta['frame_tokens']) == 4 and meta['frame_tokens'][0] == meta['sample_idx']
        assert meta['frame_times'].dtype == np.float64 and meta['frame_times'][0] == meta['timestamp']


def test_real_keyframes(real_keyframes, tmp_path):
    """Eight keyframes of three scenes; the motion between those of a scene is that of the tables' poses."""
    nusc = NuScenes('v1.0-trainval', str(real_keyframes), verbose=False)
    ann_file = nuscenes_batch.write_infos(nusc, tmp_path, 'base')
    dataset = nuscenes_batch.build(real_keyframes, ann_file, [QUEUE], test_mode=True)
    samples = {sample['token']: sample for sample in nusc.sample}

    def lidar_to_global(token):
        data = nusc.get('sample_data', samples[token]['data']['LIDAR_TOP'])
        matrices = []
        for table, key in (('ego_pose', 'ego_pose_token'), ('calibrated_sensor', 'calibrated_sensor_token')):
            record = nusc.get(table, data[key])
            matrices.append(Quaternion(record['rotation']).transformation_matrix)
            matrices[-1][:3, 3] = record['translation']
        return matrices[0] @ matrices[1]

    known, consecutive = [], 0
    for index in range(8):
        sample = dataset[index]
        tokens, real = sample['frame_tokens'], sample['has_prev'].sum()
        assert tokens[0] == sample['sample_idx'] and len(tokens) == 4
        for newer, older in zip(tokens[:real], tokens[1:]):
            assert samples[newer]['prev'] == older
        assert set(tokens[real:]) == {tokens[real]} and (real == 3 or samples[tokens[real]]['prev'] == '')
        for frame, token in enumerate(tokens):
            expected = np.linalg.inv(lidar_to_global(tokens[0])) @ lidar_to_global(token)
            np.testing.assert_allclose(sample['frame2cur'][frame], expected, atol=1e-6)
        known.append(int(real))
        if real == 3 and np.ptp(sample['frame_times']) < 1.6:  # four keyframes half a second apart
            consecutive += 1
            step = np.linalg.norm(sample['frame2cur'][:, :3, 3], axis=1)
            assert (np.diff(step) > 0).all() and 0.5 < step[3] < 30  # the car drives on
            assert sample['frame_dt'] == pytest.approx(0.5, abs=0.01)
    assert known == [0, 0, 1, 2, 3, 3, 3, 0] and consecutive == 1
