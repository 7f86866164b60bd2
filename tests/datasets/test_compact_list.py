import pickle

import numpy as np
import pytest

from mmdet3d_plugin.datasets.compact_list import CompactList

ITEMS = [dict(name='a', values=np.arange(3)), 'b', None, [1, 2], {}]


def test_items_come_back_by_index_slice_and_iteration():
    compact = CompactList(iter(ITEMS))
    assert len(compact) == 5
    np.testing.assert_array_equal(compact[0]['values'], [0, 1, 2])
    assert compact[0]['name'] == 'a'
    assert [compact[i] for i in (1, -1, np.int64(3))] == ['b', {}, [1, 2]]
    assert compact[1:4] == ['b', None, [1, 2]]
    assert compact[::-2][:2] == [{}, None]
    assert list(compact)[1:] == ITEMS[1:]


@pytest.mark.parametrize('index', [5, -6])
def test_index_out_of_range(index):
    with pytest.raises(IndexError, match='5 items'):
        CompactList(ITEMS)[index]


def test_stored_items_cannot_be_changed_from_outside():
    compact = CompactList(ITEMS)
    compact[3].append(3)
    compact[0]['values'][:] = 9
    assert compact[3] == [1, 2]
    np.testing.assert_array_equal(compact[0]['values'], [0, 1, 2])


def test_empty():
    assert list(CompactList([])) == []


def test_survives_pickling_to_a_worker():
    assert pickle.loads(pickle.dumps(CompactList(ITEMS)))[1] == 'b'


def test_holds_one_array_not_many_objects():
    items = [dict(value=i, text='path/' * 100) for i in range(1000)]
    compact = CompactList(items)
    assert all(isinstance(part, np.ndarray) for part in vars(compact).values())
    assert 0 < compact.nbytes < sum(len(pickle.dumps(item)) for item in items) / 5
