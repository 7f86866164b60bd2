"""The layout of info files: a pickle for everybody, with an index for us."""

import io
import pickle
import pickletools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from nuscenes_tables import Tables

from mmdet3d_plugin.datasets import NuScenesBEVDataset
from mmdet3d_plugin.datasets.infos.columns import TableColumns
from mmdet3d_plugin.datasets.infos.info_file import open_info_file
from mmdet3d_plugin.datasets.infos.info_io import InfoFileError, load_infos, pack_info_file, save_infos
from mmdet3d_plugin.datasets.infos.nuscenes_infos import build_infos
from mmdet3d_plugin.datasets.infos.nuscenes_infos_4d import build_infos_4d
from mmdet3d_plugin.datasets.packed_infos import PackedInfos


def test_an_info_file_is_a_pickle_of_plain_dicts(info_files, infos_4d):
    """Of another tool's reader we expect nothing but Python and numpy, also in its slow form."""
    path = info_files['train', '4d']
    content = Path(path).read_bytes()
    for data in (pickle.loads(content), pickle._Unpickler(io.BytesIO(content)).load()):
        assert type(data) is dict and type(data['infos']) is list and data['metadata']['kind'] == '4d'
        np.testing.assert_equal(data['infos'], list(infos_4d['train']))
    assert {code.name for code, *_ in pickletools.genops(content)} <= {
        *('PROTO', 'GLOBAL', 'BINPUT', 'POP', 'EMPTY_DICT', 'BINUNICODE', 'EMPTY_LIST', 'BINGET', 'BINBYTES', 'TUPLE1'),
        *('REDUCE', 'APPEND', 'SETITEM', 'STOP', 'MARK', 'BININT1', 'APPENDS', 'SETITEMS', 'NONE', 'SHORT_BINBYTES'),
    }
    code = f'import pickle, sys; pickle.load(open({path!r}, "rb")); print(*sys.modules)'
    loaded = subprocess.check_output([sys.executable, '-c', code], text=True).split()
    assert 'numpy' in loaded and not {'mmdet3d_plugin', 'mmcv', 'torch', 'nuscenes'} & set(loaded)


def test_reading_takes_infos_out_one_by_one(info_files, infos_4d, monkeypatch):
    data = open_info_file(info_files['val', '4d'])
    assert isinstance(data['infos'], PackedInfos) and len(data['infos']) == 3
    np.testing.assert_equal(data['infos'][2], infos_4d['val'][2])
    np.testing.assert_equal(vars(data['infos'].columns), vars(infos_4d['val'].columns))
    monkeypatch.setattr(pickle, 'load', None)  # the whole pickle is not needed
    assert load_infos(info_files['val', '4d'])['metadata'] == data['metadata']


def test_a_pickle_without_an_index_is_read_as_ever(tmp_path, info_files, tables_root):
    data = load_infos(info_files['train', '4d'])
    path = tmp_path / 'plain.pkl'
    path.write_bytes(pickle.dumps(dict(infos=list(data['infos']), metadata=data['metadata']), protocol=4))
    assert open_info_file(path) is None
    plain, ours = (NuScenesBEVDataset(str(p), str(tables_root)) for p in (path, info_files['train', '4d']))
    assert len(plain) == len(ours) == 18
    assert [plain.get_cat_ids(i) for i in range(18)] == [ours.get_cat_ids(i) for i in range(18)]
    np.testing.assert_equal(list(plain.data_infos), list(ours.data_infos))
    np.testing.assert_equal(vars(plain.data_infos.columns), vars(ours.data_infos.columns))


@pytest.mark.parametrize('kind', ['base', '4d'])
def test_old_files_get_an_index_once(tmp_path, info_files, kind):
    new = load_infos(info_files['train', kind])
    path = tmp_path / 'infos.pkl'
    path.write_bytes(pickle.dumps(dict(infos=list(new['infos']), metadata=new['metadata'])))
    assert pack_info_file(path) and not pack_info_file(path)
    packed = open_info_file(path)
    assert packed['metadata'] == new['metadata']
    np.testing.assert_equal(list(packed['infos']), list(new['infos']))


@pytest.mark.parametrize('part', [0.3, 0.999])
def test_a_cut_file_is_refused_or_read_to_its_pickle_s_end(tmp_path, info_files, part):
    content = Path(info_files['train', 'base']).read_bytes()
    path = tmp_path / 'nuscenes_infos_train.pkl'
    path.write_bytes(content[: int(len(content) * part)])
    if part < 0.5:
        with pytest.raises(InfoFileError, match='cannot be unpickled'):
            load_infos(path)
    else:
        assert len(load_infos(path)['infos']) == 18  # only the index is lost


def test_infos_that_lack_what_a_data_set_needs_are_named(tmp_path, base_infos, tables_root):
    infos = [{key: value for key, value in info.items() if key != 'timestamp'} for info in base_infos['val']]
    save_infos(tmp_path / 'infos.pkl', infos, 'v1.0-mini', 'val')
    with pytest.raises(InfoFileError, match='infos.pkl: .*lacks? one of .*timestamp.*create_data'):
        NuScenesBEVDataset(str(tmp_path / 'infos.pkl'), str(tables_root))


def test_the_number_of_workers_does_not_change_a_byte(tmp_path):
    root = Tables({f'scene-{name}': 4 for name in ('0061', '0553', '0655', '0757')}).write(tmp_path)
    contents = []
    for workers in (1, 3):
        tables = TableColumns(root, 'v1.0-mini', workers)
        base = build_infos(tables, tables.scene, workers=workers)
        save_infos(tmp_path / 'base.pkl', base.infos, 'v1.0-mini', 'train')
        infos = load_infos(tmp_path / 'base.pkl')['infos']
        save_infos(
            tmp_path / '4d.pkl', build_infos_4d(tables, infos, workers=workers).infos, 'v1.0-mini', 'train', '4d'
        )
        contents.append([(tmp_path / name).read_bytes() for name in ('base.pkl', '4d.pkl')])
    assert contents[0] == contents[1]


def test_an_info_is_unpacked_once_for_a_sample(info_files, tables_root, monkeypatch):
    dataset = NuScenesBEVDataset(info_files['train', '4d'], str(tables_root))
    taken, packed = [], PackedInfos.packed
    monkeypatch.setattr(PackedInfos, 'packed', lambda self, index: taken.append(index) or packed(self, index))
    item = dataset.get_data_info(7)
    assert taken == [7] and len(item['ann_info']['gt_bboxes_3d']) > 0
    assert dataset.scene_times()[7] == (item['scene_token'], item['timestamp'])
    assert dataset.get_cat_ids(7) and taken == [7]
