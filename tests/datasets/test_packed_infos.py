import pickle

import numpy as np
import pytest

from mmdet3d_plugin.datasets.infos.info_columns import InfoColumns
from mmdet3d_plugin.datasets.infos.info_io import load_infos, save_infos
from mmdet3d_plugin.datasets.packed_infos import PackedInfos

ITEMS = [dict(name='a', values=np.arange(3)), dict(name='b'), dict(name=None), dict(name=[1, 2]), {}]


def info(number, scene='s', names=('car',), lidar=(1,), radar=(0,)):
    points = np.array(lidar, dtype=np.int64)
    return dict(
        token=f't{number}', scene_token=scene, scene_name=f'name of {scene}', timestamp=number,
        ego2global_translation=[number, 0.0, 0.0], ego2global_rotation=[1.0, 0.0, 0.0, 0.0],
        gt_names=np.array(names, dtype=str), num_lidar_pts=points, valid_flag=points + np.array(radar, np.int64) > 0,
    )  # fmt: skip


@pytest.fixture(params=['memory', 'file'])
def packed(request, tmp_path):
    """The items, packed in an array or in an info file."""
    if request.param == 'memory':
        return PackedInfos(ITEMS)
    save_infos(tmp_path / 'infos.pkl', ITEMS, 'v1.0-mini', 'train')
    return load_infos(tmp_path / 'infos.pkl')['infos']


def test_items_come_back_by_index_slice_and_iteration(packed):
    assert len(packed) == 5
    np.testing.assert_array_equal(packed[0]['values'], [0, 1, 2])
    assert [packed[i] for i in (1, -1, np.int64(3))] == [dict(name='b'), {}, dict(name=[1, 2])]
    assert packed[1:4] == ITEMS[1:4]
    assert packed[::-2][:2] == [{}, dict(name=None)]
    assert list(packed)[1:] == ITEMS[1:]


@pytest.mark.parametrize('index', [5, -6])
def test_index_out_of_range(packed, index):
    with pytest.raises(IndexError, match='5 infos'):
        packed[index]


def test_stored_items_cannot_be_changed_from_outside(packed):
    packed[3]['name'].append(3)
    packed[0]['values'][:] = 9
    assert packed[3]['name'] == [1, 2]
    np.testing.assert_array_equal(packed[0]['values'], [0, 1, 2])


def test_some_items_in_another_order_and_several_lists_in_one(packed):
    chosen = packed.take(np.array([3, 1]))
    assert list(chosen) == [ITEMS[3], ITEMS[1]] and chosen.nbytes < packed.nbytes
    assert list(PackedInfos.joined([chosen, PackedInfos([{}]), chosen.take(np.array([0]))])) == [
        ITEMS[3], ITEMS[1], {}, ITEMS[3],
    ]  # fmt: skip


def test_empty(tmp_path):
    assert list(PackedInfos([])) == list(PackedInfos.joined([])) == []
    save_infos(tmp_path / 'infos.pkl', [], 'v1.0-mini', 'train')
    assert list(load_infos(tmp_path / 'infos.pkl')['infos']) == []


def test_survives_pickling_to_a_worker(packed):
    assert pickle.loads(pickle.dumps(packed))[1] == dict(name='b')


def test_a_file_that_changed_under_a_run_is_named(tmp_path):
    path = tmp_path / 'infos.pkl'
    save_infos(path, ITEMS, 'v1.0-mini', 'train')
    packed = load_infos(path)['infos']
    sent = pickle.dumps(packed)
    save_infos(path, ITEMS[:2], 'v1.0-mini', 'train')
    assert packed[3] == dict(name=[1, 2])  # a process that has it open keeps the old one
    with pytest.raises(OSError, match='infos.pkl: replaced since'):
        pickle.loads(sent)
    packed = load_infos(path)['infos']
    path.write_bytes(path.read_bytes()[:40])  # in place
    with pytest.raises(OSError, match='infos.pkl: cut while'):
        packed[1]


def test_infos_take_a_fraction_of_their_size():
    items = [dict(value=i, text='path/' * 100) for i in range(1000)]
    assert 0 < PackedInfos(items).nbytes < sum(len(pickle.dumps(item)) for item in items) / 5


def test_columns_count_objects_by_name_and_points():
    columns = InfoColumns.of(
        [info(5, 'b', ('car', 'bus', 'car', 'car'), (1, 0, 0, 0), (0, 0, 2, 0)), info(3, 'a', (), (), ())]
    )
    assert columns.names == ['bus', 'car'] and columns.token.tolist() == [b't5', b't3']
    assert columns.counts.tolist() == [[[1, 0, 0], [3, 1, 2]], [[0, 0, 0], [0, 0, 0]]]
    assert columns.scene.tolist() == [0, 1] and columns.scene_names == ['name of b', 'name of a']


def test_joined_columns_are_those_of_all_infos():
    parts = [[info(0, 'a'), info(4, 'b', ('bus',))], [], [info(1, 'a', ('bus', 'van'), (0, 3), (0, 0))]]
    joined, whole = PackedInfos.joined([PackedInfos(part) for part in parts]), PackedInfos(sum(parts, []))
    np.testing.assert_equal(vars(joined.columns), vars(whole.columns))
    assert [rows.tolist() for rows in joined.columns.rows_of_scenes()] == [[0, 2], [1]]
    taken = joined.columns.take(np.array([2]))
    assert taken.token.tolist() == [b't1'] and taken.counts[0].sum(axis=1).tolist() == [1, 0, 3]
    assert taken.names == ['bus', 'car', 'van']


def test_infos_that_do_not_tell_have_no_columns():
    lacking = info(0)
    del lacking['timestamp']
    assert InfoColumns.of([info(1), lacking]) is None
    assert PackedInfos.joined([PackedInfos([lacking]), PackedInfos([info(1)])]).columns is None
