import pickle

import pytest

from mmdet3d_plugin.datasets.infos.info_io import (
    InfoFileError,
    command_for,
    info_filename,
    load_infos,
    save_infos,
)

INFOS = [dict(token='a'), dict(token='b')]


def write(path, content):
    path.write_bytes(pickle.dumps(content))
    return path


def stamped(**changes):
    metadata = dict(
        version='v1.0-mini',
        schema='dualdistill-nuscenes/2',
        box_convention='lidar-xyzlwh-yaw-ccw',
        kind='base',
    )
    metadata.update(changes)
    return dict(infos=INFOS, metadata={key: value for key, value in metadata.items() if value is not None})


def refusal(path, kind=None):
    with pytest.raises(InfoFileError) as caught:
        load_infos(path, kind)
    message = str(caught.value)
    assert '\n' not in message
    assert str(path) in message
    return message


@pytest.mark.parametrize('kind', ['base', '4d'])
def test_round_trip_keeps_infos_and_stamps_the_file(tmp_path, kind):
    path = tmp_path / 'new' / 'nuscenes_infos_train.pkl'
    save_infos(path, INFOS, 'v1.0-mini', 'train', kind=kind, interval=3, max_prev=60)
    data = load_infos(path, kind)
    assert list(data['infos']) == INFOS
    assert data['metadata'] == dict(
        version='v1.0-mini',
        split='train',
        schema='dualdistill-nuscenes/2',
        box_convention='lidar-xyzlwh-yaw-ccw',
        kind=kind,
        interval=3,
        max_prev=60,
        cameras=[],
        origin={},
    )
    assert list(load_infos(path)['infos']) == INFOS
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_missing_file_names_the_command(tmp_path):
    with pytest.raises(FileNotFoundError, match='create_data.py nuscenes .*--extra-tag mine'):
        load_infos(tmp_path / 'mine_infos_train.pkl')
    with pytest.raises(FileNotFoundError, match='prepare_nuscenes_for_bevdet4d.py'):
        load_infos(tmp_path / 'mine_infos_train_4d_interval3_max60.pkl')


def test_command_names_the_version_of_the_tables_that_are_there(tmp_path):
    train, test = tmp_path / 'a_infos_train.pkl', tmp_path / 'a_infos_test.pkl'
    assert command_for(train).endswith('--extra-tag a --version v1.0-trainval')
    assert command_for(test, '4d').endswith('--version v1.0-test')
    (tmp_path / 'v1.0-mini').mkdir()
    assert command_for(train, '4d').endswith('--version v1.0-mini')
    (tmp_path / 'v1.0-trainval').mkdir()
    assert command_for(train).endswith('--version v1.0-trainval')
    assert command_for(train, version='v1.0-mini').endswith('--version v1.0-mini')
    base = write(tmp_path / 'nuscenes_infos_val.pkl', stamped())  # its own stamp says v1.0-mini
    assert refusal(base, kind='4d').endswith('--version v1.0-mini')


def test_file_of_another_tool_is_refused(tmp_path):
    foreign = dict(infos=INFOS, metadata=dict(version='v1.0-mini'))
    message = refusal(write(tmp_path / 'nuscenes_infos_train.pkl', foreign))
    assert 'schema' in message and 'found none' in message and 'tools/create_data.py' in message


def test_temporal_infos_of_bevformer_are_refused_by_name(tmp_path):
    """As its authors' converter writes them: no stamp, and where the car stood in `can_bus`."""
    foreign = dict(infos=[dict(token='a', prev='', can_bus=[0.0] * 18)], metadata=dict(version='v1.0-trainval'))
    message = refusal(write(tmp_path / 'nuscenes_infos_temporal_val.pkl', foreign))
    assert 'nuscenes_infos_temporal_*.pkl' in message and 'ordinary info files' in message
    assert 'python tools/create_data.py nuscenes ' in message and '--extra-tag nuscenes ' in message
    assert 'ordinary' not in refusal(write(tmp_path / 'x.pkl', dict(infos=[], metadata={})))


@pytest.mark.parametrize('content', [INFOS, dict(data_list=[]), dict(infos=INFOS), dict(infos=INFOS, metadata=None)])
def test_content_of_another_shape_is_refused(tmp_path, content):
    assert 'expected a dict with `infos` and `metadata`' in refusal(write(tmp_path / 'x.pkl', content))


@pytest.mark.parametrize(
    'changes, said',
    [
        (dict(schema='dualdistill-nuscenes/0'), "'dualdistill-nuscenes/0'"),
        (dict(box_convention='lidar-xyzwlh-yaw-cw'), "found 'lidar-xyzwlh-yaw-cw'"),
        (dict(box_convention=None), 'box_convention'),
        (dict(kind='5d'), "found '5d'"),
        (dict(kind=None), 'found None'),
    ],
)
def test_wrong_stamp_is_refused(tmp_path, changes, said):
    assert said in refusal(write(tmp_path / 'x.pkl', stamped(**changes)))


def test_wrong_kind_is_refused_with_the_command_that_makes_the_right_one(tmp_path):
    base = write(tmp_path / 'nuscenes_infos_val.pkl', stamped())
    sequential = write(tmp_path / 'nuscenes_infos_val_4d.pkl', stamped(kind='4d'))
    assert 'prepare_nuscenes_for_bevdet4d.py' in refusal(base, kind='4d')
    assert 'create_data.py' in refusal(sequential, kind='base')


@pytest.mark.parametrize(
    'content',
    [b'', b'not a pickle', pickle.dumps(INFOS)[:-3], b'cno_such_module\nThing\n.', b'\x8c\x02\xff\xff.', b'I1x\n.'],
)
def test_broken_pickle_is_refused(tmp_path, content):
    path = tmp_path / 'x.pkl'
    path.write_bytes(content)
    assert 'cannot be unpickled' in refusal(path)


def test_file_names():
    assert info_filename('nuscenes', 'train') == 'nuscenes_infos_train.pkl'
    assert info_filename('nuscenes', 'val', '4d') == 'nuscenes_infos_val_4d_interval3_max60.pkl'
