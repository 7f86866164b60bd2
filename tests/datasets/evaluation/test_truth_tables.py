"""Annotations read straight from the tables are the devkit's, to the last bit."""

import json

import numpy as np
import pytest
from nuscenes import NuScenes
from nuscenes.eval.detection.constants import ATTRIBUTE_NAMES
from nuscenes_tables import THINGS, Tables

from dualdistill_runtime.detection_classes import DETECTION_CLASSES
from mmdet3d_plugin.datasets.evaluation.ground_truth import load_ground_truth
from mmdet3d_plugin.datasets.evaluation.truth_tables import BIKE_RACK, truth_from_tables
from mmdet3d_plugin.datasets.infos.nuscenes_infos import build_infos


def names_of(infos):
    return {info['token']: info['gt_names'] for info in infos}


def assert_same(truth, nusc, names):
    theirs = load_ground_truth(nusc, names)
    assert truth.tokens == theirs.sample_tokens and len(truth.boxes) == len(theirs.all) > 0
    begins = truth.boxes.of_samples(len(truth.tokens))
    for index, token in enumerate(truth.tokens):
        boxes = truth.boxes.take(slice(begins[index], begins[index + 1]))
        assert len(boxes) == len(theirs[token])
        for row, box in enumerate(theirs[token]):
            for name in ('translation', 'size', 'rotation', 'velocity'):
                np.testing.assert_array_equal(getattr(boxes, name)[row], getattr(box, name))
            assert DETECTION_CLASSES[boxes.label[row]] == box.detection_name
            assert boxes.num_points[row] == box.num_pts and boxes.score[row] == box.detection_score
            assert ((*ATTRIBUTE_NAMES, '')[boxes.attribute[row]]) == box.attribute_name
    racks = [
        annotation['translation']
        for token in truth.tokens
        for annotation in (nusc.get('sample_annotation', key) for key in nusc.get('sample', token)['anns'])
        if annotation['category_name'] == BIKE_RACK
    ]
    np.testing.assert_array_equal(truth.racks.translation, np.array(racks).reshape(-1, 3))


def test_generated_keyframes(keyframes_root, keyframes_nusc, keyframes_val):
    names = names_of(keyframes_val.data_infos)
    truth = truth_from_tables(names, str(keyframes_root), 'v1.0-trainval')
    assert np.isnan(truth.boxes.velocity).any() and len(truth.racks)
    assert_same(truth, keyframes_nusc, names)
    last = dict(reversed(names.items()))  # in any order
    assert_same(truth_from_tables(last, str(keyframes_root), 'v1.0-trainval'), keyframes_nusc, last)


def test_real_keyframes(real_keyframes):
    """Their tracks have gaps of seconds, over which the devkit tells no velocity."""
    nusc = NuScenes('v1.0-trainval', str(real_keyframes), verbose=False)
    names = names_of(build_infos(nusc, nusc.scene).infos)
    assert_same(truth_from_tables(names, str(real_keyframes), 'v1.0-trainval'), nusc, names)


def test_gaps_in_a_track(tmp_path, base_infos):
    """One keyframe is late: velocities over more than 1.5 s (3 s on both sides) are unknown."""
    tables = Tables({'scene-0061': 5})
    for late, record in enumerate(tables.tables['sample'][2:]):
        record['timestamp'] += 1_400_000 + late * 1_200_000
    root = tables.write(tmp_path)
    nusc = NuScenes('v1.0-mini', str(root), verbose=False)
    names = names_of(info for info in base_infos['train'] if info['scene_token'] == 'scene-0061')
    truth = truth_from_tables(names, str(root), 'v1.0-mini')
    unknown = np.isnan(truth.boxes.velocity).any(axis=1)
    car = truth.boxes.translation[0]
    assert 0 < unknown.sum() < len(unknown) and np.isfinite(car).all()
    assert_same(truth, nusc, names)


def damaged(tmp_path, change):
    """Data root of one scene whose tables were changed, and the names of its samples."""
    tables = Tables({'scene-0103': 1}, things=THINGS[:3])
    change(tables.tables)
    root = tables.write(tmp_path)
    return str(root), {'scene-0103-sample0': ['car', 'car', 'truck']}


def test_tables_that_do_not_fit_are_named(tmp_path):
    def forget(tables):
        tables['instance'].pop()

    root, names = damaged(tmp_path / 'a', forget)
    with pytest.raises(ValueError, match="do not fit each other, nothing has the token 'scene-0103-instance2'"):
        truth_from_tables(names, root, 'v1.0-mini')
    root, names = damaged(tmp_path / 'b', lambda tables: tables['sample_annotation'][0].update(next='gone'))
    with pytest.raises(ValueError, match="nothing has the token 'gone'"):
        truth_from_tables(names, root, 'v1.0-mini')


def test_infos_of_other_tables_are_named(tmp_path):
    root, names = damaged(tmp_path, lambda tables: None)
    assert len(truth_from_tables(names, root, 'v1.0-mini').boxes) == 3
    with pytest.raises(ValueError, match='scene-0103-sample0: its info has 2 annotation.*have 3.*create_data.py'):
        truth_from_tables({'scene-0103-sample0': ['car', 'car']}, root, 'v1.0-mini')
    with pytest.raises(ValueError, match='no-such-sample: .*do not have it'):
        truth_from_tables({**names, 'no-such-sample': []}, root, 'v1.0-mini')


def test_no_annotations(tmp_path):
    root, names = damaged(tmp_path, lambda tables: tables['sample_annotation'].clear())
    with pytest.raises(ValueError, match='no annotations to evaluate against: use --format-only'):
        truth_from_tables(names, root, 'v1.0-mini')


def test_attributes_of_one_s_own_and_too_many(tmp_path):
    def rename(tables):
        for record in tables['attribute']:
            record['name'] = record['name'].replace('vehicle.moving', 'driving')

    root, names = damaged(tmp_path / 'a', rename)
    with pytest.warns(UserWarning, match=r'driving \(2 boxes\)'):
        truth = truth_from_tables(names, root, 'v1.0-mini')
    assert [(*ATTRIBUTE_NAMES, '')[index] for index in truth.boxes.attribute] == ['', 'vehicle.parked', '']
    twice = ['attribute-vehicle.moving'] * 2
    root, names = damaged(tmp_path / 'b', lambda tables: tables['sample_annotation'][1].update(attribute_tokens=twice))
    with pytest.raises(ValueError, match='scene-0103-instance1-0 has 2 attributes'):
        truth_from_tables(names, root, 'v1.0-mini')


def test_a_class_is_what_the_infos_say(tmp_path):
    root, _ = damaged(tmp_path, lambda tables: None)
    truth = truth_from_tables({'scene-0103-sample0': ['bus', 'tram', 'car']}, root, 'v1.0-mini')
    assert [DETECTION_CLASSES[label] for label in truth.boxes.label] == ['bus', 'car']
    assert json.loads((tmp_path / 'v1.0-mini' / 'sample_annotation.json').read_text())[2]['size'] == (
        truth.boxes.size[1].tolist()
    )
