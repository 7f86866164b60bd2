"""Ground truth is read from the tables once, and again when something that it depends on has changed."""

import os
import shutil

import numpy as np
import pytest

from mmdet3d_plugin.datasets import NuScenesBEVDataset
from mmdet3d_plugin.datasets.evaluation import dataset_evaluation, ground_truth_results, truth_cache
from mmdet3d_plugin.datasets.evaluation.truth_tables import TRUTH_TABLES


@pytest.fixture
def root(keyframes_root, tmp_path):
    """Data root of its own, to change."""
    shutil.copytree(keyframes_root, tmp_path / 'data', ignore=shutil.ignore_patterns('*.npz'))
    return tmp_path / 'data'


@pytest.fixture
def dataset(root):
    return NuScenesBEVDataset(str(root / 'nuscenes_infos_val.pkl'), str(root), test_mode=True)


@pytest.fixture
def readings(monkeypatch):
    """list: one entry each time that the tables are read."""
    done, read = [], truth_cache.truth_from_tables

    def count(*args):
        done.append(args)
        return read(*args)

    monkeypatch.setattr(truth_cache, 'truth_from_tables', count)
    return done


def touch(path):
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


def test_the_tables_are_read_once(dataset, root, readings):
    path = truth_cache.truth_path(dataset.ann_file)
    assert path == root / 'nuscenes_infos_val.ground_truth.npz' and not path.exists()
    first = dataset._truth()
    again = dataset._truth()
    assert len(readings) == 1 and path.stat().st_size < 3e6
    assert again.tokens == first.tokens == dataset.keyframes.tokens.tolist()
    for part in ('boxes', 'racks'):
        for name, values in getattr(first, part).columns().items():
            np.testing.assert_array_equal(values, getattr(getattr(again, part), name))
            assert values.dtype == getattr(getattr(again, part), name).dtype
    assert [path.name for path in root.iterdir() if path.name.endswith('.tmp')] == []


@pytest.mark.parametrize('name', [*TRUTH_TABLES, 'infos'])
def test_a_change_makes_it_anew(dataset, root, readings, name):
    dataset._truth()
    touch(root / 'nuscenes_infos_val.pkl' if name == 'infos' else root / 'v1.0-trainval' / f'{name}.json')
    assert not dataset._is_prepared()
    dataset._truth()
    assert dataset._is_prepared() and len(readings) == 2


def test_other_tables_do_not_matter(dataset, root, readings):
    dataset._truth()
    touch(root / 'v1.0-trainval' / 'sample_data.json')
    dataset._truth()
    assert len(readings) == 1


@pytest.mark.parametrize('content', [b'', b'PK', b'nonsense'])
def test_a_damaged_file_is_made_anew(dataset, readings, content):
    dataset._truth()
    truth_cache.truth_path(dataset.ann_file).write_bytes(content)
    assert not dataset._is_prepared()
    assert len(dataset._truth().boxes) and len(readings) == 2 and dataset._is_prepared()


def test_a_cut_file_is_made_anew(dataset, readings):
    dataset._truth()
    path = truth_cache.truth_path(dataset.ann_file)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert len(dataset._truth().boxes) and len(readings) == 2


def test_a_folder_that_cannot_be_written_to_costs_a_warning(dataset, readings, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, 'Permission denied')

    monkeypatch.setattr(truth_cache, '_write', refuse)
    with pytest.warns(UserWarning, match='ground_truth.npz: cannot be written .Permission denied.'):
        assert len(dataset._truth().boxes)


def test_it_is_prepared_before_the_inference_and_not_read_again(dataset, readings):
    dataset.check_evaluation()
    assert len(readings) == 1
    assert dataset.evaluate(ground_truth_results(dataset))['mAP'] > 0.95 and len(readings) == 1
    dataset.check_evaluation()
    assert len(readings) == 1


def test_processes_but_the_first_leave_it_to_the_first(dataset, readings, monkeypatch):
    monkeypatch.setattr(dataset_evaluation, 'get_dist_info', lambda: (1, 2))
    dataset.check_evaluation()
    assert readings == []


def test_the_devkit_needs_none(dataset, readings):
    dataset.check_evaluation('devkit')
    dataset.evaluate(ground_truth_results(dataset), backend='devkit')
    assert readings == [] and not dataset._is_prepared()


def test_part_of_a_file_uses_that_of_the_whole(root, dataset, readings):
    dataset._truth()
    thinned = NuScenesBEVDataset(dataset.ann_file, str(root), load_interval=5, test_mode=True)
    truth = thinned._truth()
    assert truth.tokens == dataset.keyframes.tokens[::5].tolist() and len(readings) == 1
    whole = dataset._truth().boxes
    expected = whole.take(np.isin(whole.sample, np.arange(0, len(dataset), 5)))
    np.testing.assert_array_equal(truth.boxes.translation, expected.translation)
    np.testing.assert_array_equal(truth.boxes.sample, expected.sample // 5)
