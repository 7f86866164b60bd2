"""The 17 numbers of a point: raw, painted and virtual ones, and sweeps without a file."""

import warnings

import numpy as np
import pytest
from helpers.virtual_points import labelled

from mmdet3d_plugin.datasets.virtual_point_files import (
    VirtualFileError,
    VirtualPoints,
    point_layout,
    virtual_path,
    write_virtual_file,
)
from mmdet3d_plugin.datasets.virtual_point_files.point_layout import add_virtual_points, join_points

RAW = np.array([[1, 2, 3, 40, 7], [4, 5, 6, 50, 8]], dtype=np.float32)  # x, y, z, intensity, ring
POINTS = VirtualPoints(labelled(RAW[1:, :4], [3]), labelled(np.array([[7.0, 8.0, 9.0]]), [9], score=0.25))


def test_every_column_of_every_kind():
    one_hot_3, one_hot_9 = np.eye(10)[3], np.eye(10)[9]
    expected = [
        [1, 2, 3, 40, *[1] * 11, 1, 0],
        [4, 5, 6, 50, *[1] * 11, 1, 0],  # painted below, and still there
        [4, 5, 6, 50, *one_hot_3, 0.5, 0, 0],
        [7, 8, 9, -1, *one_hot_9, 0.25, -1, 0],
    ]
    joined = join_points(RAW, POINTS)
    assert joined.dtype == np.float32
    np.testing.assert_array_equal(joined, np.array(expected, dtype=np.float32))


def test_a_sweep_without_a_file_stays_real_only():
    np.testing.assert_array_equal(join_points(RAW), join_points(RAW, POINTS)[:2])


def test_empty_parts():
    nothing = VirtualPoints(np.zeros((0, 15), np.float32), np.zeros((0, 14), np.float32))
    np.testing.assert_array_equal(join_points(RAW, nothing), join_points(RAW))
    assert join_points(RAW[:0], nothing).shape == (0, 17)


def test_files_beside_the_sweep_are_read(tmp_path):
    sweep = tmp_path / 'LIDAR_TOP' / 'a.bin'
    write_virtual_file(virtual_path(sweep), POINTS)
    np.testing.assert_array_equal(add_virtual_points(RAW, sweep), join_points(RAW, POINTS))


def test_a_folder_that_lacks_files_is_named_once(tmp_path):
    point_layout._warn_of_missing.cache_clear()
    with pytest.warns(RuntimeWarning, match='LIDAR_TOP_VIRTUAL: virtual points of some sweeps are missing'):
        points = add_virtual_points(RAW, tmp_path / 'LIDAR_TOP' / 'a.bin')
    np.testing.assert_array_equal(points, join_points(RAW))
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        add_virtual_points(RAW, tmp_path / 'LIDAR_TOP' / 'b.bin')
    with pytest.warns(RuntimeWarning, match='other'):
        add_virtual_points(RAW, tmp_path / 'other' / 'LIDAR_TOP' / 'a.bin')


def test_damaged_files_are_errors_that_name_them(tmp_path):
    sweep = tmp_path / 'LIDAR_TOP' / 'a.bin'
    virtual_path(sweep).parent.mkdir(parents=True)
    virtual_path(sweep).write_bytes(b'not an archive')
    with pytest.raises(VirtualFileError, match=r'LIDAR_TOP_VIRTUAL/a\.bin\.pkl\.npy'):
        add_virtual_points(RAW, sweep)
