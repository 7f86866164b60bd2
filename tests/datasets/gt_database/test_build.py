"""The object database of a generated set: which objects, which points, the same bytes each time, no halves."""

import pickle

import numpy as np
import pytest
from helpers.nuscenes_batch import load_tables
from helpers.virtual_points import PAINTED

from mmdet3d_plugin.datasets.gt_database import build
from mmdet3d_plugin.datasets.gt_database.build import build_database
from mmdet3d_plugin.datasets.gt_database.files import database_filenames, load_database_infos
from mmdet3d_plugin.datasets.infos.info_io import InfoFileError, load_infos, save_infos
from mmdet3d_plugin.datasets.infos.nuscenes_infos import build_infos
from mmdet3d_plugin.datasets.infos.splits import scenes_by_split
from mmdet3d_plugin.structures.virtual_points import FLAG_COLUMN


def write_train_infos(root, folder):
    nusc = load_tables(root)
    infos = build_infos(nusc, scenes_by_split(nusc)[0]['train']).infos
    save_infos(folder / 'nuscenes_infos_train.pkl', infos, 'v1.0-mini', 'train')
    return folder / 'nuscenes_infos_train.pkl'


@pytest.fixture(scope='module')
def info_path(tiny_nuscenes, tmp_path_factory):
    return write_train_infos(tiny_nuscenes, tmp_path_factory.mktemp('database'))


@pytest.fixture(scope='module')
def database(info_path, tiny_nuscenes):
    """(path, counts, empty boxes) of the database of the keyframes alone."""
    return build_database(info_path, tiny_nuscenes, 'nuscenes', num_sweeps=1)


def inside(box, points):
    """(M,) bool: points in a box with gravity centre, by rotating them into it."""
    offset = points[:, :3].astype(np.float64) - box[:3]
    cos, sin = np.cos(box[6]), np.sin(box[6])
    along, across = offset[:, 0] * cos + offset[:, 1] * sin, offset[:, 1] * cos - offset[:, 0] * sin
    return (np.abs(np.stack([along, across, offset[:, 2]], axis=1)) < box[3:6] / 2).all(axis=1)


def test_every_object_with_its_points(database, info_path, tiny_nuscenes):
    """Against the info file and the LiDAR files, box by box."""
    path, counts, empty = database
    objects, points_path = load_database_infos(path, 1, False)
    points = np.fromfile(points_path, dtype=np.float32).reshape(-1, 5)
    expected = {name: [] for name in counts}
    for info in sorted(load_infos(info_path)['infos'], key=lambda info: info['timestamp']):
        raw = np.fromfile(tiny_nuscenes / info['lidar_path'], dtype=np.float32).reshape(-1, 5)
        for name, box, velocity in zip(info['gt_names'], info['gt_boxes'], info['gt_velocity']):
            own = raw[inside(box, raw)]
            if len(own):
                expected[name].append((np.concatenate([box, velocity]), own))
    assert {name: len(entries) for name, entries in expected.items()} == counts
    assert sum(counts.values()) > 50 and empty >= 0
    borderline = 0
    for name, entries in expected.items():
        found = objects[name]
        np.testing.assert_allclose(found.boxes, [box for box, _ in entries], atol=1e-4)  # NaN equals NaN
        for start, count, (_, own) in zip(found.start, found.count, entries):
            borderline += abs(count - len(own))
            if count == len(own):
                np.testing.assert_array_equal(points[start : start + count, :4], own[:, :4])
                assert (points[start : start + count, 4] == 0).all()  # the keyframe's age
    assert borderline <= 3  # points on a face, decided by rounding
    assert sum(entry.count.sum() for entry in objects.values()) == len(points)


def test_sweeps_bring_more_points_with_their_age(database, info_path, tiny_nuscenes, tmp_path):
    save_infos(tmp_path / 'nuscenes_infos_train.pkl', load_infos(info_path)['infos'], 'v1.0-mini', 'train')
    path = build_database(tmp_path / 'nuscenes_infos_train.pkl', tiny_nuscenes, 'mine', num_sweeps=3)[0]
    objects, points_path = load_database_infos(path, 3, False)
    assert path.name == 'mine_dbinfos_train.pkl' and points_path.name == 'mine_gt_database_train.bin'
    few = load_database_infos(database[0], 1, False)[0]
    assert objects['car'].count.sum() > 1.5 * few['car'].count.sum()
    ages = np.unique(np.fromfile(points_path, dtype=np.float32).reshape(-1, 5)[:, 4])
    assert ages[0] == 0 and ages[1] > 0.04 and ages[-1] < 0.11  # 20 Hz


def test_virtual_points_are_in_it(info_path, virtual_nuscenes):
    path, counts, _ = build_database(info_path, virtual_nuscenes, 'nuscenes', num_sweeps=1, virtual_points=True)
    assert path.name == database_filenames('nuscenes', 'train', True)[0] == 'nuscenes_dbinfos_train_virtual.pkl'
    _, points_path = load_database_infos(path, 1, True)
    points = np.fromfile(points_path, dtype=np.float32).reshape(-1, 17)
    assert (points[:, FLAG_COLUMN] == 1).sum() > 1000 and 0 < (points[:, FLAG_COLUMN] == 0).sum() < 8 * PAINTED
    assert counts == build_counts(info_path, virtual_nuscenes)


def build_counts(info_path, root):
    return build_database(info_path, root, 'plain', num_sweeps=1)[1]


def test_the_same_bytes_whatever_the_workers(database, info_path, tiny_nuscenes):
    again = build_database(info_path, tiny_nuscenes, 'again', num_sweeps=1, workers=2)[0]
    files = [load_database_infos(path, 1, False) for path in (database[0], again)]
    assert files[0][1].read_bytes() == files[1][1].read_bytes()
    for name, entry in files[0][0].items():
        np.testing.assert_array_equal(entry.boxes, files[1][0][name].boxes)


def test_an_interrupted_run_leaves_nothing(info_path, tiny_nuscenes, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(build, '_as_arrays', stop)
    with pytest.raises(KeyboardInterrupt):
        build_database(info_path, tiny_nuscenes, 'half', num_sweeps=1)
    assert not list(info_path.parent.glob('*half_dbinfos*')) and not list(info_path.parent.glob('.*'))


def test_what_does_not_fit_is_refused_with_the_command(database, tmp_path):
    path = database[0]
    with pytest.raises(InfoFileError, match='expected num_sweeps 10, found 1.* --gt-database$'):
        load_database_infos(path, 10, False)
    with pytest.raises(InfoFileError, match='expected virtual_points True, found False.*--virtual --num-sweeps 1$'):
        load_database_infos(path, 1, True)
    with pytest.raises(FileNotFoundError, match=r'no ground-truth database .*--extra-tag mine .*--virtual \('):
        load_database_infos(tmp_path / 'mine_dbinfos_train_virtual.pkl', 10, True)
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes())
    with pytest.raises(FileNotFoundError, match='points file .*nuscenes_gt_database_train.bin is missing'):
        load_database_infos(copy, 1, False)
    copy.with_name('nuscenes_gt_database_train.bin').write_bytes(b'1234')
    with pytest.raises(InfoFileError, match='has 4 bytes, expected'):
        load_database_infos(copy, 1, False)
    copy.write_bytes(pickle.dumps({'car': [dict(path='a.bin')]}))  # mmdet3d's layout
    with pytest.raises(InfoFileError, match='not a ground-truth database of this project'):
        load_database_infos(copy, 1, False)
    copy.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InfoFileError, match='cannot be unpickled'):
        load_database_infos(copy, 1, False)
