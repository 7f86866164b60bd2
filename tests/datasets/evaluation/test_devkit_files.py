"""What the devkit needs for an evaluation is looked for before the inference."""

import json

import pytest
from nuscenes import NuScenes
from nuscenes_tables import Tables

from mmdet3d_plugin.datasets import NuScenesBEVDataset
from mmdet3d_plugin.datasets.evaluation import check_devkit_files, ground_truth_results
from mmdet3d_plugin.datasets.evaluation.devkit_files import TABLES, check_truth_files
from mmdet3d_plugin.datasets.evaluation.truth_tables import TRUTH_TABLES

VERSION = 'v1.0-mini'


@pytest.fixture
def root(tmp_path):
    """Data root of its own, to break."""
    return Tables({'scene-0061': 2, 'scene-0103': 2}).write(tmp_path / 'nuscenes')


def tokens(root):
    return [record['token'] for record in json.loads((root / VERSION / 'sample.json').read_text())]


def check(root, wanted=None, version=VERSION):
    check_devkit_files(str(root), version, tokens(root) if wanted is None else wanted, 'infos.pkl')


def test_the_tables_are_those_that_the_devkit_opens(root):
    assert sorted(TABLES) == sorted(NuScenes(VERSION, str(root), verbose=False).table_names)
    check(root)


def test_missing_tables_are_named(root):
    wanted = tokens(root)
    for name in ('visibility', 'sample_annotation'):
        (root / VERSION / f'{name}.json').unlink()
    with pytest.raises(FileNotFoundError, match=rf'{VERSION}: .*needs visibility.json, sample_annotation.json:'):
        check(root, wanted)
    with pytest.raises(FileNotFoundError, match=rf'needs the tables of v1.0-trainval, .*it has tables of {VERSION}'):
        check(root, wanted, 'v1.0-trainval')
    with pytest.raises(FileNotFoundError, match='it has no tables at all'):
        check(root / 'maps', wanted)


def test_missing_map_masks_are_named(root):
    (root / 'maps' / 'map.png').unlink()
    with pytest.raises(AssertionError, match='map mask'):
        NuScenes(VERSION, str(root), verbose=False)  # what it is about
    with pytest.raises(FileNotFoundError, match='1 of 1 map masks are missing, first maps/map.png'):
        check(root)


@pytest.mark.parametrize('name', ['sample_data', 'map', 'ego_pose'])
def test_cut_tables_are_named(root, name):
    path = root / VERSION / f'{name}.json'
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=rf'{name}.json: cut or damaged'):
        check(root)
    path.write_bytes(b'')
    with pytest.raises(ValueError, match=rf'{name}.json: cut or damaged'):
        check(root)


def test_samples_of_another_download_are_counted(root):
    with pytest.raises(ValueError, match='2 of the 6 samples of infos.pkl are not in sample.json, first x'):
        check(root, [*tokens(root), 'x', 'y'])


def test_tables_without_annotations(tmp_path):
    root = Tables({'scene-0077': 2}, version=VERSION, things=[]).write(tmp_path)
    with pytest.raises(ValueError, match='no annotations to evaluate against: use --format-only'):
        check(root)


@pytest.mark.parametrize('name', ['lidarseg', 'panoptic'])
def test_half_unpacked_point_labels_are_named(root, name):
    """The devkit counts them, though detection needs none."""
    (root / VERSION / f'{name}.json').write_text(json.dumps([dict(token='a'), dict(token='b')]))
    with pytest.raises(FileNotFoundError, match=rf'{name}/{VERSION}: 0 label files for the 2 records'):
        check(root)
    folder = root / name / VERSION
    folder.mkdir(parents=True)
    for label in 'ab':
        (folder / f'{label}.bin').touch()
    with pytest.raises(ValueError, match='category.json: no index of the classes'):
        check(root)
    path = root / VERSION / 'category.json'
    path.write_text(json.dumps([dict(record, index=i) for i, record in enumerate(json.loads(path.read_text()))]))
    check(root)


def test_the_fast_evaluation_wants_five_tables_and_no_map(root):
    for name in set(TABLES) - set(TRUTH_TABLES):
        (root / VERSION / f'{name}.json').unlink()
    (root / 'maps' / 'map.png').unlink()
    check_truth_files(str(root), VERSION, tokens(root), 'infos.pkl')
    with pytest.raises(ValueError, match='1 of the 5 samples of infos.pkl are not in sample.json, first x'):
        check_truth_files(str(root), VERSION, [*tokens(root), 'x'], 'infos.pkl')
    for name in TRUTH_TABLES[1:]:
        path = root / VERSION / f'{name}.json'
        content = path.read_bytes()
        path.write_bytes(content[:-1])
        with pytest.raises(ValueError, match=rf'{name}.json: cut or damaged'):
            check_truth_files(str(root), VERSION, tokens(root), 'infos.pkl')
        path.write_bytes(content)
    (root / VERSION / 'instance.json').unlink()
    with pytest.raises(FileNotFoundError, match='needs instance.json: unpack'):
        check_truth_files(str(root), VERSION, tokens(root), 'infos.pkl')


def test_each_backend_checks_what_it_opens(info_files, root, tables_root):
    dataset = NuScenesBEVDataset(info_files['val', '4d'], str(root), test_mode=True)
    dataset.keyframes.tokens[:] = tokens(root)[-1]
    (root / 'maps' / 'map.png').unlink()
    for backend in ('devkit', 'both'):
        with pytest.raises(FileNotFoundError, match='map masks are missing'):
            dataset.check_evaluation(backend)
    with pytest.raises(ValueError, match='unknown evaluation backend'):
        dataset.check_evaluation('slow')


def test_the_data_set_checks_its_own_samples(info_files, tables_root, root):
    NuScenesBEVDataset(info_files['val', '4d'], str(tables_root), test_mode=True).check_evaluation()
    moved = NuScenesBEVDataset(info_files['val', '4d'], str(root), test_mode=True)
    with pytest.raises(ValueError, match=r'val_4d.pkl are not in sample.json'):
        moved.check_evaluation()


@pytest.mark.parametrize('classes', [None, ['car', 'traffic_cone'], ['barrier']])
def test_scores_are_those_that_an_evaluation_returns(info_files, tables_root, classes):
    dataset = NuScenesBEVDataset(info_files['val', '4d'], str(tables_root), classes=classes, test_mode=True)
    scores = dataset.evaluate(ground_truth_results(dataset))
    rules = dataset.score_rules(classes or dataset.CLASSES)
    assert set(scores) == set(rules) and rules['mAP'] == rules['NDS'] == 'greater' and rules['mATE'] == 'less'
    assert ('mAVE' in rules) == (classes != ['barrier'])
    assert all(rules[name] == ('greater' if name.endswith('AP') else 'less') for name in rules if '_' in name)
