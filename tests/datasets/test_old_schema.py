"""Info files of the schema before: what they held, and that samples made from them stay what they were."""

import copy
import pickle

import numpy as np
import pytest
import torch

from mmdet3d_plugin.datasets import NuScenesBEVDataset
from mmdet3d_plugin.datasets.infos.info_io import BOX_CONVENTION, SCHEMA, InfoFileError, load_infos, save_infos
from mmdet3d_plugin.datasets.infos.old_schema import upgrade

EGO_VELOCITY = np.array([0.3, 7.7])


def old_file(path, infos, kind, stamp=None):
    """Write ``infos`` as schema 1 did: velocities of 4-D infos relative to ``velo``, frames after the keyframe."""
    if kind == '4d':
        relative = [info['gt_velocity'] - EGO_VELOCITY for info in infos]
        infos = [dict(i, gt_velocity=v, velo=EGO_VELOCITY, next=i['prev'][:1]) for i, v in zip(infos, relative)]
    metadata = dict(
        version='v1.0-mini', split='train', schema='dualdistill-nuscenes/1', box_convention=BOX_CONVENTION, kind=kind,
        velocity={'base': 'absolute', '4d': 'ego_relative'}[kind], interval=3, max_prev=60,
        cameras=list(infos[0]['cams']), origin=dict(scenes=['scene-0061']),
    )  # fmt: skip
    path.write_bytes(pickle.dumps(dict(infos=infos, metadata={**metadata, **(stamp or {})})))
    return path


@pytest.mark.parametrize('kind', ['base', '4d'])
def test_an_old_file_is_read_in_the_present_form(tmp_path, base_infos, infos_4d, kind):
    infos = {'base': base_infos, '4d': infos_4d}[kind]['train']
    old = load_infos(old_file(tmp_path / 'old.pkl', infos, kind), kind)
    assert old['metadata']['schema'] == SCHEMA and 'velocity' not in old['metadata']
    assert old['metadata']['kind'] == kind and old['metadata']['origin'] == dict(scenes=['scene-0061'])
    for info, present in zip(old['infos'], infos):
        assert set(info) == set(present)
        assert len(info.get('prev', [])) == len(present.get('prev', []))
        expected = present['gt_velocity']
        if kind == '4d':  # exactly the sum that data sets used to make
            expected = (expected - EGO_VELOCITY) + EGO_VELOCITY
        np.testing.assert_array_equal(info['gt_velocity'], expected)
    assert any(np.isnan(info['gt_velocity']).any() for info in old['infos'])  # unknown stays unknown


def test_samples_of_an_old_file_are_those_of_a_new_one(tmp_path, tables_root, infos_4d):
    save_infos(tmp_path / 'new.pkl', infos_4d['train'], 'v1.0-mini', 'train', kind='4d')
    old_file(tmp_path / 'old.pkl', infos_4d['train'], '4d')
    old, new = (
        NuScenesBEVDataset(str(tmp_path / f'{n}.pkl'), str(tables_root), info_kind='4d') for n in ('old', 'new')
    )
    assert len(old) == len(new) and old.cameras == new.cameras
    for index in range(len(old)):
        ours, theirs = old.get_data_info(index), new.get_data_info(index)
        boxes = [item.pop('ann_info') for item in (ours, theirs)]
        # float32 of the same float64 numbers: the difference of a sum and its parts is far below a float32's step
        torch.testing.assert_close(
            boxes[0]['gt_bboxes_3d'].tensor, boxes[1]['gt_bboxes_3d'].tensor, rtol=0, atol=1e-6, equal_nan=True
        )
        np.testing.assert_array_equal(boxes[0]['gt_labels_3d'], boxes[1]['gt_labels_3d'])
        poses = [vars(item.pop('scene_poses')) for item in (ours, theirs)]
        np.testing.assert_equal(poses[0], poses[1])
        np.testing.assert_equal(ours, theirs)


def test_reading_leaves_the_content_of_the_file_alone(base_infos):
    data = dict(
        infos=[dict(base_infos['train'][0], velo=EGO_VELOCITY, next=[])],
        metadata=dict(kind='4d', velocity='ego_relative', schema='dualdistill-nuscenes/1'),
    )
    before = copy.deepcopy(data)
    upgrade(data, SCHEMA)
    np.testing.assert_equal(data, before)


@pytest.mark.parametrize(
    'changes, said',
    [
        (dict(velocity='absolute'), "hold 'ego_relative' velocities, found 'absolute'"),
        (dict(velocity=None), 'found None'),
        (dict(kind='5d'), "found '5d'"),
        (dict(box_convention='lidar-xyzwlh-yaw-cw'), "found 'lidar-xyzwlh-yaw-cw'"),
        (dict(schema='dualdistill-nuscenes/0'), "expected schema 'dualdistill-nuscenes/2', found 'dualdistill-nuscen"),
    ],
)
def test_an_old_file_that_cannot_be_read_names_the_command(tmp_path, infos_4d, changes, said):
    path = old_file(tmp_path / 'nuscenes_infos_train_4d_interval3_max60.pkl', infos_4d['train'], '4d', changes)
    with pytest.raises(InfoFileError) as caught:
        load_infos(path)
    message = str(caught.value)
    assert said in message and '\n' not in message and 'prepare_nuscenes_for_bevdet4d.py --root-path' in message


def test_an_old_file_without_the_car_s_velocity_is_refused(tmp_path, infos_4d):
    path = old_file(tmp_path / 'old_4d.pkl', infos_4d['train'], '4d')
    data = pickle.loads(path.read_bytes())
    del data['infos'][3]['velo']
    path.write_bytes(pickle.dumps(data))
    with pytest.raises(InfoFileError, match='`velo`.*prepare_nuscenes_for_bevdet4d.py'):
        load_infos(path)
