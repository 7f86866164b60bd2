import pickle

import numpy as np
import pytest

from mmdet3d_plugin.datasets.packed_infos import PackedInfos

ITEMS = [dict(name='a', values=np.arange(3)), 'b', None, [1, 2], {}]


def test_items_come_back_by_index_slice_and_iteration():
    packed = PackedInfos(iter(ITEMS))
    assert len(packed) == 5
    np.testing.assert_array_equal(packed[0]['values'], [0, 1, 2])
    assert packed[0]['name'] == 'a'
    assert [packed[i] for i in (1, -1, np.int64(3))] == ['b', {}, [1, 2]]
    assert packed[1:4] == ['b', None, [1, 2]]
    assert packed[::-2][:2] == [{}, None]
    assert list(packed)[1:] == ITEMS[1:]


@pytest.mark.parametrize('index', [5, -6])
def test_index_out_of_range(index):
    with pytest.raises(IndexError, match='5 infos'):
        PackedInfos(ITEMS)[index]


def test_stored_items_cannot_be_changed_from_outside():
    packed = PackedInfos(ITEMS)
    packed[3].append(3)
    packed[0]['values'][:] = 9
    assert packed[3] == [1, 2]
    np.testing.assert_array_equal(packed[0]['values'], [0, 1, 2])


def test_empty():
    assert list(PackedInfos([])) == []


def test_survives_pickling_to_a_worker():
    assert pickle.loads(pickle.dumps(PackedInfos(ITEMS)))[1] == 'b'


def test_holds_one_array_not_many_objects():
    items = [dict(value=i, text='path/' * 100) for i in range(1000)]
    packed = PackedInfos(items)
    assert all(isinstance(part, np.ndarray) for part in vars(packed).values())
    assert 0 < packed.nbytes < sum(len(pickle.dumps(item)) for item in items) / 5
