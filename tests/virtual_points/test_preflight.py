"""Sweeps without virtual points are counted and the count is logged, before a run."""

import pytest
from helpers import nuscenes_batch

from mmdet3d_plugin.datasets import sample_files
from mmdet3d_plugin.datasets.cbgs import SeededCBGSDataset
from mmdet3d_plugin.datasets.sample_files import report_virtual_files
from mmdet3d_plugin.datasets.virtual_point_files import virtual_path


class Lines(list):
    """Logger that keeps its lines."""

    def info(self, text):
        self.append(f'info: {text}')

    def warning(self, text):
        self.append(f'warning: {text}')


@pytest.fixture
def log(monkeypatch):
    lines = Lines()
    monkeypatch.setattr(sample_files, 'get_root_logger', lambda: lines)
    return lines


def infos(*keyframes):
    """One info a keyframe; each lists the same two sweeps."""
    sweeps = [dict(data_path=f'sweeps/LIDAR_TOP/{name}.bin') for name in 'ab']
    return [dict(lidar_path=f'samples/LIDAR_TOP/{name}.bin', sweeps=sweeps, cams={}) for name in keyframes]


def touch(root, *names):
    for name in names:
        path = root / virtual_path(f'{name}.bin')
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_each_missing_sweep_counts_once(tmp_path, log):
    touch(tmp_path, 'samples/LIDAR_TOP/k', 'sweeps/LIDAR_TOP/b')
    assert report_virtual_files(infos('k', 'l'), str(tmp_path)) == (2, 4)
    (line,) = log
    assert line.startswith('warning: ') and '2 of 4 sweeps have no virtual points and stay real-only' in line
    assert 'samples/LIDAR_TOP/l.bin' in line
    touch(tmp_path, 'samples/LIDAR_TOP/l', 'sweeps/LIDAR_TOP/a')
    assert report_virtual_files(infos('k', 'l'), str(tmp_path)) == (0, 4)
    assert log[-1] == f'info: {tmp_path}: all 4 sweeps have virtual points'


def test_none_at_all_is_an_error_with_the_command(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'any of the 3 sweeps .*create_virtual_points\.py --root-path'):
        report_virtual_files(infos('k'), str(tmp_path))


def test_data_sets_ask_only_for_pipelines_that_read_them(tiny_nuscenes, tmp_path, log):
    ann_file = nuscenes_batch.write_infos(nuscenes_batch.load_tables(tiny_nuscenes), tmp_path)
    nuscenes_batch.build(tiny_nuscenes, ann_file, nuscenes_batch.teacher_pipelines()[0]).check_files()
    assert log == []
    pipelines = [
        nuscenes_batch.teacher_pipelines(virtual_points=True)[0],
        nuscenes_batch.distill_pipelines(teacher_virtual_points=True)[0],
    ]
    for pipeline in pipelines:
        dataset = SeededCBGSDataset(nuscenes_batch.build(tiny_nuscenes, ann_file, pipeline))
        with pytest.raises(FileNotFoundError, match='no virtual points'):
            dataset.check_files()
