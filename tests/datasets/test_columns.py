"""The tables as columns: against the devkit, in small chunks, and when tables are damaged."""

import json

import numpy as np
import pytest
from helpers.devkit_infos import earlier_frames, sample_info
from nuscenes import NuScenes
from nuscenes_tables import CAMERA_YAW, Tables

from mmdet3d_plugin.datasets.infos import json_rows
from mmdet3d_plugin.datasets.infos.columns import TableColumns, as_columns
from mmdet3d_plugin.datasets.infos.devkit_records import keyframes, sensor_record
from mmdet3d_plugin.datasets.infos.nuscenes_infos import build_infos
from mmdet3d_plugin.datasets.infos.nuscenes_infos_4d import build_infos_4d
from mmdet3d_plugin.datasets.infos.scene_boxes import velocities
from mmdet3d_plugin.synthetic.simulated_tables import simulate_tables


@pytest.fixture(scope='module')
def simulated(tmp_path_factory):
    """Data root of four scenes with radars, objects that come and go, and empty files."""
    root = tmp_path_factory.mktemp('simulated')
    simulate_tables(root, 4, seed=3, touch=True)
    return root


@pytest.fixture(params=['simulated', 'linked', 'real'])
def both(request):
    """(TableColumns, NuScenes) of one data root."""
    if request.param == 'simulated':
        root, version = request.getfixturevalue('simulated'), 'v1.0-trainval'
    else:
        fixture = dict(linked='tables_root', real='real_root')[request.param]
        root, version = request.getfixturevalue(fixture), 'v1.0-mini'
    return TableColumns(root, version), NuScenes(version, str(root), verbose=False)


def assert_same(ours, theirs, path='info'):
    """Same keys, types and values; floats to 1e-9, as the devkit turns boxes one by one."""
    assert type(ours) is type(theirs), path
    if isinstance(theirs, dict):
        assert set(ours) == set(theirs), path
        for key in theirs:
            assert_same(ours[key], theirs[key], f'{path}/{key}')
    elif isinstance(theirs, list):
        assert len(ours) == len(theirs), path
        for mine, other in zip(ours, theirs):
            assert_same(mine, other, path)
    elif isinstance(theirs, np.ndarray):
        assert ours.dtype == theirs.dtype and ours.shape == theirs.shape, path
        if theirs.dtype.kind == 'f':
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9, err_msg=path)
        else:
            np.testing.assert_array_equal(ours, theirs, path)
    else:
        assert ours == theirs, path


def test_infos_are_those_made_with_the_devkit(both):
    tables, nusc = both
    infos = build_infos_4d(tables, build_infos(tables, tables.scene).infos).infos
    expected = [(scene, sample) for scene in nusc.scene for sample in keyframes(nusc, scene)]
    assert len(infos) == len(expected) > 0
    step = max(1, len(expected) // 40)
    for (_, sample), ours in list(zip(expected, infos))[::step]:
        theirs, _ = sample_info(nusc, sample, 10, lambda name: True)
        theirs['prev'], _ = earlier_frames(
            nusc, sample, 3, 60, lambda data: sensor_record(nusc, data), lambda name: True
        )
        assert_same(ours, theirs)


def test_small_tables_are_the_devkit_s(both):
    tables, nusc = both
    assert [scene['token'] for scene in tables.scene] == [scene['token'] for scene in nusc.scene]
    token = nusc.sample[-1]['token']
    assert tables.get('sample', token)['timestamp'] == nusc.get('sample', token)['timestamp']
    assert tables.sample[tables.row('sample', token)]['token'] == token
    assert as_columns(tables) is tables and as_columns(nusc).sample == tables.sample


def test_velocities_are_the_devkit_s(both):
    tables, nusc = both
    boxes = tables.annotations
    times = np.array([sample['timestamp'] for sample in tables.sample])
    ours = velocities(boxes, times, np.arange(len(boxes.token)))
    theirs = np.array([nusc.box_velocity(record['token']) for record in nusc.sample_annotation])
    np.testing.assert_allclose(ours[:, :2], theirs[:, :2], rtol=1e-12)


def test_a_velocity_over_a_long_gap_is_unknown(tmp_path):
    tables = Tables({'scene-0061': 5})
    for sample, seconds in zip(tables.tables['sample'], (0, 1, 3, 4, 5.6)):
        sample['timestamp'] = 1_600_000_000_000_000 + round(seconds * 1e6)
    root = tables.write(tmp_path)
    nusc = NuScenes('v1.0-mini', str(root), verbose=False)
    known = [np.isfinite(info['gt_velocity'][0]).all() for info in build_infos(nusc, nusc.scene).infos]
    assert known == [True, True, True, True, False]  # 3 s over two gaps are not too long, 1.6 s over one are
    assert known == [np.isfinite(nusc.box_velocity(sample['anns'][0])).all() for sample in nusc.sample]


def test_chunks_and_workers_give_the_same_columns(simulated, monkeypatch):
    whole = TableColumns(simulated, 'v1.0-trainval')
    monkeypatch.setattr(json_rows, '_CHUNK', 50_000)
    assert len(json_rows._spans(simulated / 'v1.0-trainval' / 'sample_data.json')) > 50
    for workers in (1, 2):
        chunks = TableColumns(simulated, 'v1.0-trainval', workers)
        for ours, theirs in (
            (chunks.frames(['LIDAR_TOP'], CAMERA_YAW), whole.frames(['LIDAR_TOP'], CAMERA_YAW)),
            (chunks.annotations, whole.annotations),
        ):
            np.testing.assert_equal(vars(ours), {key: vars(theirs)[key] for key in vars(ours)})


def test_only_the_channels_asked_for_are_kept(simulated):
    tables = TableColumns(simulated, 'v1.0-trainval')
    frames = tables.frames(['CAM_BACK'], ['LIDAR_TOP'])
    assert frames.channels == ('CAM_BACK', 'LIDAR_TOP') and frames is tables.frames(['CAM_BACK'], ['LIDAR_TOP'])
    lidar = frames.channel == 1
    assert lidar.sum() == len(tables.sample) and (frames.previous[lidar] == -1).all()
    assert (frames.keyframe >= 0).all() and len(frames.token) > 5 * len(tables.sample)


ROWS = [
    dict(token=str(k), text='}, {"token": 1}, {' * (k == 7) + '}\n,\n{', rows=[dict(a=1), dict(a=2)]) for k in range(30)
]


@pytest.mark.parametrize('indent', [None, 0, 4])
def test_borders_inside_texts_and_lists_are_none(tmp_path, monkeypatch, indent):
    path = tmp_path / 'table.json'
    path.write_text(json.dumps(ROWS, indent=indent))
    monkeypatch.setattr(json_rows, '_CHUNK', 100)
    monkeypatch.setattr(json_rows, '_WINDOW', 64)
    found = json_rows.map_rows(path, _tokens, 'x')
    assert [token for chunk in found for token in chunk] == [f'x{k}' for k in range(30)]


@pytest.mark.parametrize('indent', [None, 0, 4])
def test_plain_rows_come_in_many_chunks(tmp_path, monkeypatch, indent):
    path = tmp_path / 'table.json'
    path.write_text(json.dumps([dict(token=str(k)) for k in range(99)], indent=indent))
    monkeypatch.setattr(json_rows, '_CHUNK', 100)
    monkeypatch.setattr(json_rows, '_WINDOW', 32)
    found = json_rows.map_rows(path, _tokens, '')
    assert len(found) > 9 and sum(found, []) == [str(k) for k in range(99)]


def _tokens(prefix, rows):
    return [prefix + row['token'] for row in rows]


@pytest.mark.parametrize(
    'content, said', [('{"a": 1}', 'no list of records'), ('[1, 2]', 'no list'), ('[{', 'Expecting')]
)
def test_what_is_no_table_is_said(tmp_path, content, said):
    path = tmp_path / 'table.json'
    path.write_text(content)
    with pytest.raises(ValueError, match=said):
        json_rows.map_rows(path, _tokens, '')


@pytest.mark.parametrize(
    'table, change, said',
    [
        ('sample_data', dict(sample_token='?'), "nothing has the token or field '\\?'"),
        ('sample_data', dict(calibrated_sensor_token='?'), "'\\?'"),
        ('sample_data', dict(prev='gone'), 'gone'),
        ('sample_data', dict(ego_pose_token='lost'), 'lost'),
        ('sample_annotation', dict(instance_token='?'), "'\\?'"),
        ('sample_annotation', dict(next='gone'), 'gone'),
    ],
)
def test_tables_that_do_not_fit_are_an_error(tmp_path, table, change, said):
    tables = Tables({'scene-0061': 2})
    tables.tables[table][1].update(change)
    columns = TableColumns(tables.write(tmp_path), 'v1.0-mini')
    with pytest.raises(ValueError, match=f'cannot read the tables of v1.0-mini: .*{said}.*own_data.md'):
        build_infos(columns, columns.scene)


def test_a_sample_without_a_keyframe_of_a_camera_is_named(tmp_path):
    tables = Tables({'scene-0061': 2})
    tables.tables['sample_data'] = [
        row for row in tables.tables['sample_data'] if not row['token'].startswith('CAM_BACK-')
    ]
    columns = TableColumns(tables.write(tmp_path), 'v1.0-mini')
    with pytest.raises(ValueError, match='sample scene-0061-sample0 has no keyframe of CAM_BACK'):
        build_infos(columns, columns.scene)
