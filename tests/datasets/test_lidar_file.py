"""The reader of LiDAR files: what is accepted, and the errors that name a file by everybody who reads one."""

import warnings

import numpy as np
import pytest
from helpers import nuscenes_batch
from mmdet3d.datasets.builder import PIPELINES
from torch.utils.data import DataLoader

from mmdet3d_plugin.datasets.gt_database.build import build_database
from mmdet3d_plugin.datasets.lidar_file import LidarFileError, decode_lidar, read_lidar


def cloud(count=320, rings=32):
    """(count, 5) points as a LiDAR of ``rings`` beams gives them."""
    rng = np.random.default_rng(0)
    points = rng.uniform(-60, 60, (count, 5)).astype(np.float32)
    points[:, 3] = rng.integers(256, size=count)
    points[:, 4] = np.arange(count) % rings
    return points


def changed(**columns):
    points = cloud()
    for column, value in columns.items():
        points[:, int(column[1:])] = value
    return points.tobytes()


FOUR = cloud()[:, :4]
DAMAGED = {
    'empty': (b'', '0 bytes'),
    'cut inside a number': (cloud().tobytes()[:-3], '6397 bytes'),
    'cut inside a point': (cloud().tobytes()[:-4], '6396 bytes'),
    'four numbers': (FOUR[:319].tobytes(), '5104 bytes; it fits points of four numbers'),
    'four numbers of a size that fits five': (FOUR.tobytes(), 'not a ring .* fits points of four numbers'),
    'float64': (cloud().astype(np.float64).tobytes(), 'further than 1000 m away|not a ring|not finite'),
    'a page': (b'<!DOCTYPE html><html>404 Not Found</html>'.ljust(400), "a text and begins with '<!DOCTYPE html>"),
    'a pointer': (b'version https://git-lfs.github.com/spec/v1\n', "begins with 'version https://git-lfs."),
    'millimetres': (changed(c0=60_000), 'further than 1000 m away'),
    'not a number': (changed(c1=np.nan), 'not finite'),
    'infinite': (changed(c2=np.inf), 'not finite'),
    'seconds': (changed(c4=0.05), 'not a ring'),
    'negative ring': (changed(c4=-1), 'not a ring'),
    'never written': (bytes(6400), 'zeros only'),
}


@pytest.mark.parametrize('case', DAMAGED)
def test_damaged_files_are_named_with_what_is_expected(tmp_path, case):
    content, said = DAMAGED[case]
    path = tmp_path / 'x.pcd.bin'
    path.write_bytes(content)
    with pytest.raises(LidarFileError, match=said) as caught:
        read_lidar(path)
    message = str(caught.value)
    assert message.startswith(f'LiDAR file {path}: ') and '\n' not in message
    assert 'Expected points of five float32 numbers each' in message
    assert ('Write a fifth number' in message) == case.startswith('four')


@pytest.mark.parametrize('rings', [1, 16, 32, 128])
def test_points_come_as_they_are_stored(rings):
    points = cloud(4 * rings, rings)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        np.testing.assert_array_equal(decode_lidar(points.tobytes(), 'x.bin'), points)
        np.testing.assert_array_equal(decode_lidar(points[1:].tobytes(), 'x.bin'), points[1:])  # not whole turns


def test_a_file_cut_between_two_points_is_warned_of(real_root):
    (path,) = (real_root / 'samples' / 'LIDAR_TOP').iterdir()
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        whole = read_lidar(path)
    assert whole.shape == (34688, 5)
    with pytest.warns(RuntimeWarning, match='x.bin: 20009 points, .* ring 8 where each turn ends with ring 31'):
        decode_lidar(whole[:20009].tobytes(), 'x.bin')


def test_missing_file_is_named():
    with pytest.raises(FileNotFoundError, match='LiDAR file no/x.bin does not exist; check data_root'):
        read_lidar('no/x.bin')


STEPS = {
    'keyframe': dict(type='LoadLidarPointsFromFile'),
    'virtual keyframe': dict(type='LoadVirtualPointsFromFile'),
    'sweeps': dict(type='LoadLidarPointsFromMultiSweeps'),
    'virtual sweeps': dict(type='LoadVirtualPointsFromMultiSweeps'),
}


@pytest.mark.parametrize('name', STEPS)
@pytest.mark.filterwarnings('ignore:.*stay real-only')
def test_every_step_that_loads_points_names_the_file(tmp_path, name):
    good, bad = tmp_path / 'LIDAR_TOP' / 'good.bin', tmp_path / 'LIDAR_TOP' / 'bad.bin'
    good.parent.mkdir()
    good.write_bytes(cloud().tobytes())
    bad.write_bytes(FOUR.tobytes())
    kind = 'virtual ' * name.startswith('virtual')
    sweep = dict(data_path=str(bad), timestamp=0, sensor2lidar_rotation=np.eye(3), sensor2lidar_translation=np.zeros(3))
    results = dict(pts_filename=str(bad if 'keyframe' in name else good), timestamp=1.0, sweeps=[sweep])
    if 'sweeps' in name:
        results = PIPELINES.build(STEPS[f'{kind}keyframe'])(results)
    with pytest.raises(LidarFileError, match=r'LIDAR_TOP/bad\.bin: .*four numbers'):
        PIPELINES.build(STEPS[name])(results)


def test_steps_give_what_mmdet3d_s_give(tiny_nuscenes, tmp_path):
    ann_file = nuscenes_batch.write_infos(nuscenes_batch.load_tables(tiny_nuscenes), tmp_path)
    stock = [
        dict(type='LoadPointsFromFile', coord_type='LIDAR', load_dim=5, use_dim=5),
        dict(
            type='LoadPointsFromMultiSweeps', sweeps_num=9, use_dim=[0, 1, 2, 3, 4], pad_empty_sweeps=True,
            remove_close=True, test_mode=True,
        ),
    ]  # fmt: skip
    own = nuscenes_batch.teacher_pipelines()[1][:2]
    for index in (0, 3):
        points = [
            nuscenes_batch.build(tiny_nuscenes, ann_file, steps, test_mode=True)[index]['points'].tensor
            for steps in (stock, own)
        ]
        np.testing.assert_array_equal(*points)


@pytest.fixture
def four_number_root(tiny_nuscenes, tmp_path):
    """A generated data root whose keyframes' LiDAR files have four numbers a point, and its info file."""
    root = tmp_path / 'nuscenes'
    root.mkdir()
    for entry in tiny_nuscenes.iterdir():
        if entry.name != 'samples':
            (root / entry.name).symlink_to(entry)
    for folder in (tiny_nuscenes / 'samples').iterdir():
        (root / 'samples' / folder.name).mkdir(parents=True)
        for path in folder.iterdir():
            if folder.name == 'LIDAR_TOP':
                np.fromfile(path, np.float32).reshape(-1, 5)[:, :4].tofile(root / 'samples' / folder.name / path.name)
            else:
                (root / 'samples' / folder.name / path.name).symlink_to(path)
    tables = nuscenes_batch.load_tables(root)
    return root, {kind: nuscenes_batch.write_infos(tables, tmp_path, kind) for kind in ('base', '4d')}


def test_another_layout_is_found_before_a_run_and_by_the_object_database(four_number_root):
    root, ann_files = four_number_root
    for ann_file, pipeline in (
        (ann_files['base'], nuscenes_batch.teacher_pipelines()[0]),
        (ann_files['4d'], nuscenes_batch.distill_pipelines()[0]),
    ):
        with pytest.raises(LidarFileError, match='LIDAR_TOP.*four numbers'):
            nuscenes_batch.build(root, ann_file, pipeline).check_files()
    with pytest.raises(LidarFileError, match='LIDAR_TOP.*four numbers'):
        build_database(ann_files['base'], root, 'nuscenes')
    camera_test = nuscenes_batch.build(root, ann_files['4d'], nuscenes_batch.distill_pipelines()[1], test_mode=True)
    camera_test.check_files()  # reads no points


def test_loader_workers_pass_the_error_on(four_number_root):
    root, ann_files = four_number_root
    dataset = nuscenes_batch.build(root, ann_files['4d'], nuscenes_batch.distill_pipelines()[0])
    with pytest.raises(LidarFileError, match=r'LiDAR file .*LIDAR_TOP'):
        next(iter(DataLoader(dataset, batch_size=None, num_workers=1)))
