"""Files of virtual points: layout, both formats, damaged and hostile files, atomic writing."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from dualdistill_runtime.detection_classes import DETECTION_CLASSES
from mmdet3d_plugin.datasets.virtual_point_files import (
    VirtualFileError,
    VirtualPoints,
    read_virtual_file,
    virtual_path,
    write_virtual_file,
)
from mmdet3d_plugin.datasets.virtual_point_files.storage import PUBLISHED_CLASSES


def rows(count, first, labels):
    """(count, first + 11) float32: random coordinates, one-hot of ``labels``, score 0.5."""
    array = np.zeros((count, first + 11), dtype=np.float32)
    array[:, :first] = np.random.uniform(-50, 50, (count, first))
    array[np.arange(count), first + np.asarray(labels)] = 1
    array[:, -1] = 0.5
    return array


@pytest.fixture
def points():
    return VirtualPoints(rows(3, 4, [0, 5, 9]), rows(50, 3, np.arange(50) % 10), fingerprint='abc')


def save_published(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, 'wb') as stream:
        np.save(stream, content)
    return path


def test_path_is_the_published_layout():
    assert virtual_path('samples/LIDAR_TOP/x.pcd.bin') == Path('samples/LIDAR_TOP_VIRTUAL/x.pcd.bin.pkl.npy')
    assert virtual_path('/d/sweeps/LIDAR_TOP/y.bin') == Path('/d/sweeps/LIDAR_TOP_VIRTUAL/y.bin.pkl.npy')
    with pytest.raises(ValueError, match='expected <folder>'):
        virtual_path('x.bin')


def test_round_trip(tmp_path, points):
    path = tmp_path / 'LIDAR_TOP_VIRTUAL' / 'x.bin.pkl.npy'
    write_virtual_file(path, points)
    found = read_virtual_file(path)
    np.testing.assert_array_equal(found.real_points, points.real_points)
    np.testing.assert_array_equal(found.virtual_points, points.virtual_points)
    assert found.fingerprint == 'abc'
    assert os.listdir(path.parent) == [path.name]
    with np.load(path, allow_pickle=False) as archive:  # what anybody can do with the file
        np.testing.assert_array_equal(archive['virtual_points'], points.virtual_points)


def test_sweep_without_points(tmp_path):
    path = tmp_path / 'V' / 'x.pkl.npy'
    write_virtual_file(path, VirtualPoints(np.zeros((0, 15), np.float32), np.zeros((0, 14), np.float32)))
    assert read_virtual_file(path).virtual_points.shape == (0, 14)


def test_published_file_gets_the_own_class_order(tmp_path, points):
    content = dict(
        real_points=rows(1, 4, [PUBLISHED_CLASSES.index('barrier')]),
        virtual_points=rows(2, 3, [PUBLISHED_CLASSES.index('trailer'), PUBLISHED_CLASSES.index('bicycle')]),
        real_points_indice=np.array([7]),
    )
    found = read_virtual_file(save_published(tmp_path / 'V' / 'x.pkl.npy', content))
    assert [DETECTION_CLASSES[i] for i in found.real_points[:, 4:14].argmax(1)] == ['barrier']
    assert [DETECTION_CLASSES[i] for i in found.virtual_points[:, 3:13].argmax(1)] == ['trailer', 'bicycle']
    np.testing.assert_array_equal(found.virtual_points[:, :3], content['virtual_points'][:, :3])
    assert found.fingerprint == '' and found.virtual_points.dtype == np.float32


def test_published_file_of_an_empty_sweep_is_float64(tmp_path):
    content = dict(real_points=np.zeros([0, 15]), virtual_points=np.zeros([0, 14]), real_points_indice=np.zeros(0))
    found = read_virtual_file(save_published(tmp_path / 'x.pkl.npy', content))
    assert found.real_points.shape == (0, 15) and found.real_points.dtype == np.float32


def test_published_point_with_two_classes_is_accepted(tmp_path, points):
    real = rows(1, 4, [0])
    real[0, 4 + 7] = 1
    path = save_published(tmp_path / 'x.pkl.npy', dict(real_points=real, virtual_points=points.virtual_points))
    assert read_virtual_file(path).real_points[0, 4:14].sum() == 2


class Hostile:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def test_pickle_that_runs_code_is_refused_and_runs_nothing(tmp_path):
    path = save_published(tmp_path / 'x.pkl.npy', dict(real_points=Hostile(tmp_path / 'ran')))
    with pytest.raises(VirtualFileError, match=r'x\.pkl\.npy: refused.*mkdir'):
        read_virtual_file(path)
    assert not (tmp_path / 'ran').exists()


def test_plain_pickle_is_not_read(tmp_path):
    path = tmp_path / 'x.pkl.npy'
    path.write_bytes(pickle.dumps(dict(real_points=Hostile(tmp_path / 'ran'))))
    with pytest.raises(VirtualFileError, match='damaged or not'):
        read_virtual_file(path)
    assert not (tmp_path / 'ran').exists()


@pytest.mark.parametrize('published', [True, False])
@pytest.mark.parametrize('keep', [0, 5, 100, 0.5, 0.9, -1])
def test_cut_off_file(tmp_path, points, published, keep):
    path = tmp_path / 'x.pkl.npy'
    if published:
        save_published(path, dict(real_points=points.real_points, virtual_points=points.virtual_points))
    else:
        write_virtual_file(path, points)
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data)) if isinstance(keep, float) else keep])
    with pytest.raises(VirtualFileError, match=r'x\.pkl\.npy'):
        read_virtual_file(path)


def test_flipped_byte_is_noticed(tmp_path, points):
    path = tmp_path / 'x.pkl.npy'
    write_virtual_file(path, points)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(VirtualFileError, match=r'x\.pkl\.npy'):
        read_virtual_file(path)


def test_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_virtual_file(tmp_path / 'x.pkl.npy')


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(real_points=np.zeros((2, 14), np.float32)), r'real_points must be \(N, 15\)'),
        (dict(virtual_points=np.zeros(3, np.float32)), r'virtual_points must be \(N, 14\)'),
        (dict(virtual_points=np.zeros((1, 14), np.int64)), 'float'),
        (dict(virtual_points=np.zeros((1, 14), np.float32)), 'one-hot'),
        (dict(virtual_points=np.full((1, 14), np.nan, np.float32)), 'finite'),
        (dict(virtual_points=np.concatenate([rows(1, 3, [0])[:, :-1], [[1.5]]], axis=1)), 'scores outside'),
        (dict(virtual_points=None), 'expected arrays real_points and virtual_points'),
    ],
)
def test_content_out_of_range_is_named(tmp_path, points, change, message):
    content = dict(real_points=points.real_points, virtual_points=points.virtual_points)
    path = save_published(tmp_path / 'x.pkl.npy', {**content, **change})
    with pytest.raises(VirtualFileError, match=message) as caught:
        read_virtual_file(path)
    assert 'x.pkl.npy' in str(caught.value)


def test_points_of_another_shape_are_not_written(tmp_path, points):
    bad = VirtualPoints(points.real_points, points.real_points)
    with pytest.raises(VirtualFileError, match='virtual_points must be'):
        write_virtual_file(tmp_path / 'V' / 'x.pkl.npy', bad)
    assert not (tmp_path / 'V').exists()


@pytest.mark.parametrize(
    'meta, found', [('{"format": "other/2", "class_names": []}', "'other/2'"), ('[]', 'None'), ('not json', 'None')]
)
def test_other_format_version(tmp_path, points, meta, found):
    path = tmp_path / 'x.pkl.npy'
    with open(path, 'wb') as stream:
        np.savez(stream, real_points=points.real_points, virtual_points=points.virtual_points, meta=meta)
    with pytest.raises(VirtualFileError, match=f"format 'dualdistill-virtual/1', found {found}"):
        read_virtual_file(path)
