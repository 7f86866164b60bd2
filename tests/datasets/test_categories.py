"""Categories of any naming: one decision for training, evaluation and all else, official scores untouched."""

from dataclasses import replace

import numpy as np
import pytest
from nuscenes import NuScenes
from nuscenes.eval.common.loaders import load_gt_of_sample_tokens
from nuscenes.eval.detection.data_classes import DetectionBox
from nuscenes_tables import THINGS, Tables

from dualdistill_runtime.detection_classes import DETECTION_CLASSES
from mmdet3d_plugin.datasets import NuScenesBEVDataset
from mmdet3d_plugin.datasets.evaluation import evaluate_results_file, ground_truth_results
from mmdet3d_plugin.datasets.evaluation.ground_truth import load_ground_truth
from mmdet3d_plugin.datasets.infos.categories import category_report, check_class_map, detection_class
from mmdet3d_plugin.datasets.infos.info_io import save_infos
from mmdet3d_plugin.datasets.infos.nuscenes_infos import build_infos
from mmdet3d_plugin.visualization.results import ground_truth_boxes

EXPORTED = {  # official -> an exporter's names
    'vehicle.car': 'Car',
    'human.pedestrian.adult': 'pedestrian',
    'movable_object.trafficcone': 'Traffic Cone',
    'vehicle.construction': 'construction-vehicle',
    'vehicle.truck': 'lorry',
    'vehicle.bicycle': 'scooter',
}
LORRIES = {'lorry': 'truck'}


@pytest.mark.parametrize(
    'category, name',
    [
        ('vehicle.car', 'car'),
        ('vehicle.bus.bendy', 'bus'),
        ('human.pedestrian.police_officer', 'pedestrian'),
        ('car', 'car'),
        ('Car', 'car'),
        ('TRAFFIC CONE', 'traffic_cone'),
        ('ConstructionVehicle', 'construction_vehicle'),
        ('vehicle.emergency.police', None),
        ('vehicle.car.sedan', None),
        ('animal', None),
        ('', None),
    ],
)
def test_class_of_a_category(category, name):
    assert detection_class(category) == name


def test_a_class_map_goes_first():
    assert detection_class('vehicle.car.sedan', {'vehicle.car.sedan': 'car'}) == 'car'
    assert detection_class('vehicle.bus.rigid', {'vehicle.bus.rigid': 'truck'}) == 'truck'
    assert detection_class('car', {'lorry': 'truck'}) == 'car'


def test_every_class_name_means_itself():
    assert [detection_class(name) for name in DETECTION_CLASSES] == list(DETECTION_CLASSES)


def test_report_says_what_became_what_and_warns_of_unknown_names():
    lines = category_report({'vehicle.car': 3, 'Car': 20, 'animal': 1, 'lorry': 4, 'scooter': 7}, LORRIES)
    assert [line.split() for line in lines[1:-1]] == [
        ['Car', 'car', '20'],
        ['scooter', 'unknown', '7'],
        ['lorry', 'truck', '4'],
        ['vehicle.car', 'car', '3'],
        ['animal', '-', '1'],
    ]
    assert 'scooter (7)' in lines[-1] and '--class-map' in lines[-1]
    assert not any(name in lines[-1] for name in ('animal', 'lorry'))
    assert len(category_report({'vehicle.car': 3, 'animal': 1})) == 3  # nothing to warn of


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    """Tables with an exporter's categories: (NuScenes, data root, path of the info file)."""
    things = [replace(thing, category=EXPORTED.get(thing.category, thing.category)) for thing in THINGS]
    root = Tables({'scene-0103': 3}, things=things).write(tmp_path_factory.mktemp('exported'))
    nusc = NuScenes('v1.0-mini', str(root), verbose=False)
    infos = build_infos(nusc, nusc.scene, class_map=LORRIES)
    assert infos.categories['Car'] == 3 + 3 + 3 + 1 and infos.categories['scooter'] == 3
    save_infos(root / 'infos.pkl', infos.infos, 'v1.0-mini', 'val')
    return nusc, root, str(root / 'infos.pkl')


def test_class_maps_of_unknown_names_are_errors(exported):
    check_class_map(LORRIES, exported[0])
    with pytest.raises(ValueError, match='van is no detection class'):
        check_class_map({'lorry': 'van'}, exported[0])
    with pytest.raises(ValueError, match='no category tram.*scooter'):
        check_class_map({'tram': 'bus'}, exported[0])


def test_objects_of_exported_categories_are_ground_truth_in_training_and_evaluation(exported):
    nusc, root, path = exported
    dataset = NuScenesBEVDataset(path, str(root), use_valid_flag=True)
    trained = [dataset.get_ann_info(index)['gt_labels_3d'] for index in range(len(dataset))]
    trained = [sorted(dataset.CLASSES[label] for label in labels if label >= 0) for labels in trained]
    names = {info['token']: info['gt_names'] for info in dataset.data_infos}
    truth = load_ground_truth(nusc, names)
    evaluated = [sorted(box.detection_name for box in truth[token] if box.num_pts > 0) for token in names]
    drawn = [sorted(ground_truth_boxes(info, DETECTION_CLASSES).names) for info in dataset.data_infos]
    assert trained == evaluated == drawn
    assert trained[0].count('car') == 4 and 'truck' in trained[0] and 'bicycle' not in trained[0]
    scores = dataset.evaluate(ground_truth_results(dataset))
    for name in set(DETECTION_CLASSES) - {'bicycle'}:
        assert scores[f'{name}_AP'] == pytest.approx(1.0), name
    assert scores['bicycle_AP'] == 0.0  # a scooter is no bicycle


def test_truth_of_official_categories_is_the_devkit_s_to_the_last_bit(nusc, base_infos):
    infos = [*base_infos['train'], *base_infos['val']]
    ours = load_ground_truth(nusc, {info['token']: info['gt_names'] for info in infos})
    theirs = load_gt_of_sample_tokens(nusc, [info['token'] for info in infos], DetectionBox)
    assert ours.sample_tokens == theirs.sample_tokens and len(ours.all) == len(theirs.all) > 200
    for one, other in zip(ours.all, theirs.all):
        one, other = one.serialize(), other.serialize()
        np.testing.assert_array_equal(one.pop('velocity'), other.pop('velocity'))  # NaN where unknown
        assert one == other


def test_tables_that_changed_after_the_infos_were_made_are_named(exported):
    nusc, root, _ = exported
    names = {'scene-0103-sample0': np.array(['car'])}
    with pytest.raises(ValueError, match='scene-0103-sample0: its info has 1 annotation.*have 16.*create_data.py'):
        load_ground_truth(nusc, names)
    with pytest.raises(ValueError, match='no-such-sample.*do not have it'):
        load_ground_truth(nusc, {'no-such-sample': []})


def test_attributes_of_one_s_own_count_as_none(exported, monkeypatch):
    nusc, _, path = exported
    sample = nusc.get('sample', 'scene-0103-sample0')
    names = {sample['token']: np.array(['car'] * len(sample['anns']))}
    (moving,) = [record for record in nusc.attribute if record['name'] == 'vehicle.moving']
    expected = sum(box.attribute_name == 'vehicle.moving' for box in load_ground_truth(nusc, names).all)
    monkeypatch.setitem(moving, 'name', 'driving')
    with pytest.warns(UserWarning, match=f'driving \\({expected} boxes\\)'):
        truth = load_ground_truth(nusc, names)
    assert expected == 2 and not any(box.attribute_name in ('driving', 'vehicle.moving') for box in truth.all)
    record = nusc.get('sample_annotation', sample['anns'][0])
    monkeypatch.setitem(record, 'attribute_tokens', [moving['token'], moving['token']])
    with pytest.raises(ValueError, match=f'{record["token"]} has 2 attributes'):
        load_ground_truth(nusc, names)


def test_broken_tables_are_one_line(tmp_path):
    root = Tables({'scene-0103': 1}).write(tmp_path)
    (root / 'maps' / 'map.png').unlink()
    with pytest.raises(ValueError, match='v1.0-mini: map mask .*map.png does not exist.*own_data.md'):
        evaluate_results_file('unused.json', {}, 'v1.0-mini', str(root), None)
    (root / 'maps' / 'map.png').touch()
    (root / 'v1.0-mini' / 'instance.json').write_text('[{"token": ')
    with pytest.raises(ValueError, match='instance.json is damaged'):
        evaluate_results_file('unused.json', {}, 'v1.0-mini', str(root), None)
    (root / 'v1.0-mini' / 'instance.json').write_text('[]')
    with pytest.raises(ValueError, match="do not fit each other.*'scene-0103-instance0'"):
        evaluate_results_file('unused.json', {}, 'v1.0-mini', str(root), None)
