"""The two converters as users run them."""

import multiprocessing
import os
import pickle
import runpy
import signal
import sys

import pytest

from mmdet3d_plugin.datasets import NuScenesBEVDataset
from mmdet3d_plugin.datasets.evaluation import ground_truth_results
from mmdet3d_plugin.datasets.gt_database.files import load_database_infos
from mmdet3d_plugin.datasets.infos import info_io
from mmdet3d_plugin.datasets.infos.info_io import load_infos


@pytest.fixture
def run(repo_root, tmp_path, monkeypatch, capsys):
    """Function: (script, arguments) -> (what it printed, its error message or None), run in an empty folder."""

    def call(script, *arguments):
        path = str(repo_root / 'tools' / script)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, 'argv', [path, *map(str, arguments)])
        try:
            runpy.run_path(path, run_name='__main__')
            error = None
        except SystemExit as stop:
            error = stop.code
        return capsys.readouterr().out, error

    return call


@pytest.fixture
def convert(run):
    return lambda *arguments: run('create_data.py', 'nuscenes', *arguments)


@pytest.fixture
def convert_4d(run):
    return lambda *arguments: run('data_converter/prepare_nuscenes_for_bevdet4d.py', *arguments)


def test_real_keyframe_from_tables_to_scores(real_root, tmp_path, convert, convert_4d):
    """A data set of one scene: the other split is empty, which is said and is no error."""
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data' / 'nuscenes').symlink_to(real_root)
    printed, error = convert('--out-dir', tmp_path / 'infos', '--workers', 2)
    assert error is None
    assert 'train: 1 samples of 1 scene(s)' in printed
    assert 'val: no scene of this split' in printed
    assert convert_4d('--out-dir', tmp_path / 'infos')[1] is None
    names = sorted(path.name for path in (tmp_path / 'infos').iterdir())
    assert names == ['nuscenes_infos_train.pkl', 'nuscenes_infos_train_4d_interval3_max60.pkl']
    path = tmp_path / 'infos' / names[1]
    metadata = load_infos(path, '4d')['metadata']
    assert (metadata['version'], metadata['interval'], metadata['max_prev']) == ('v1.0-mini', 3, 60)
    dataset = NuScenesBEVDataset(str(path), str(real_root), test_mode=True)
    assert dataset.evaluate(ground_truth_results(dataset))['car_AP'] > 0.99


def test_other_names_and_reaches(real_root, tmp_path, convert, convert_4d):
    options = ('--root-path', real_root, '--out-dir', tmp_path, '--extra-tag', 'mine', '--version', 'v1.0-mini')
    assert convert(*options, '--max-sweeps', 2)[1] is None
    assert convert_4d(*options, '--interval', 2, '--max-prev', 8)[1] is None
    assert (tmp_path / 'mine_infos_train_4d_interval2_max8.pkl').is_file()
    printed, error = convert_4d(*options[:-1], 'v1.0-trainval')
    assert 'is of v1.0-mini, not v1.0-trainval' in printed
    assert error.startswith('error: ') and 'no base info files of v1.0-trainval' in error


def test_errors_are_one_line(tmp_path, real_root, convert, convert_4d):
    for (_, error), said in (
        (convert('--root-path', tmp_path), 'no nuScenes tables'),
        (convert('--root-path', real_root, '--version', 'v1.0'), "unknown nuScenes version 'v1.0'"),
        (convert_4d('--root-path', real_root, '--out-dir', tmp_path), 'tools/create_data.py nuscenes'),
    ):
        assert error.startswith('error: ') and said in error and '\n' not in error


@pytest.fixture
def killed(monkeypatch):
    """Function: run something in a process that kills itself when it has written a part of an info file."""

    def die(stream, infos, metadata):
        stream.write(infos.packed(0)[:100])
        stream.flush()
        os.kill(os.getpid(), signal.SIGKILL)

    def call(function, *arguments):
        with monkeypatch.context() as patch:
            patch.setattr(info_io, 'write_info_file', die)
            process = multiprocessing.get_context('fork').Process(target=function, args=arguments)
            process.start()
            process.join()
        assert process.exitcode == -signal.SIGKILL

    return call


def test_what_a_killed_run_leaves_is_removed_by_the_next(real_root, tmp_path, convert, convert_4d, killed):
    options = ('--root-path', real_root, '--out-dir', tmp_path, '--version', 'v1.0-mini')
    for tool in (convert, convert_4d):
        killed(tool, *options)
        (half,) = tmp_path.glob('.*')
        assert half.stat().st_size == 100
        printed, error = tool(*options)
        assert error is None and f'removed 1 unfinished file(s) of killed runs, 0.0 MB: {half}' in printed
        assert not list(tmp_path.glob('.*'))


def test_simulated_tables_and_files_of_earlier_versions(tmp_path, run, convert):
    printed, error = run('data_converter/simulate_nuscenes_tables.py', '--out-dir', tmp_path, '--scenes', 2, '--touch')
    assert error is None and 'sample 81, sample_data ' in printed
    printed, error = convert('--root-path', tmp_path)
    assert error is None and 'train: 41 samples of 1 scene(s)' in printed and 'left out' not in printed
    paths = [tmp_path / f'nuscenes_infos_{split}.pkl' for split in ('train', 'val')]
    paths[0].write_bytes(pickle.dumps(pickle.loads(paths[0].read_bytes())))
    printed, error = run('data_converter/pack_infos.py', *paths)
    assert error is None
    assert [line.split('pkl: ')[1] for line in printed.splitlines()] == [
        'written with an index',
        'has an index already',
    ]


def test_object_databases(virtual_nuscenes, tiny_nuscenes, tmp_path, convert):
    options = ('--version', 'v1.0-mini', '--out-dir', tmp_path, '--num-sweeps', 2, '--workers', 2)
    printed, error = convert('--root-path', virtual_nuscenes, *options, '--gt-database', '--virtual')
    assert error is None
    assert 'objects (car ' in printed and 'boxes without a point left out' in printed
    for virtual_points, suffix in ((False, ''), (True, '_virtual')):
        path = tmp_path / f'nuscenes_dbinfos_train{suffix}.pkl'
        objects, points = load_database_infos(path, 2, virtual_points)
        assert points == tmp_path / f'nuscenes_gt_database_train{suffix}.bin'
        assert f'{sum(len(entry.count) for entry in objects.values())} objects' in printed
    assert not list(tmp_path.glob('*val_*bin')) and not list(tmp_path.glob('.*'))
    _, error = convert('--root-path', tiny_nuscenes, *options, '--virtual')
    assert error.startswith('error: ') and 'create_virtual_points.py' in error and '\n' not in error
