"""The submission file has the bytes that ``json.dump`` writes, and comes back as it was."""

import io
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest

from dualdistill_runtime.submission_text import sample_records
from mmdet3d_plugin.datasets.evaluation.global_boxes import global_boxes
from mmdet3d_plugin.datasets.evaluation.submission_file import read_submission, write_submission

MOST = 500


@pytest.fixture
def boxes(keyframes_val, found):
    results = found(20)
    results[3] = {key: value[:0] for key, value in results[3].items()}
    class_range = keyframes_val.eval_detection_configs.class_range
    return global_boxes(results, keyframes_val.keyframes, keyframes_val.CLASSES, class_range)


@pytest.fixture
def tokens(keyframes_val):
    return keyframes_val.keyframes.tokens.tolist()


def test_bytes_are_those_of_json_dump(boxes, tokens, keyframes_val, tmp_path):
    begins = boxes.of_samples(len(tokens))
    results = {
        token: sample_records(boxes.take(slice(begins[i], begins[i + 1])), token) for i, token in enumerate(tokens)
    }
    assert results[tokens[3]] == [] and sum(map(len, results.values())) == len(boxes) > 500
    expected = io.StringIO()
    json.dump(dict(meta=keyframes_val.modality, results=results), expected)
    path = write_submission(boxes, tokens, keyframes_val.modality, tmp_path / 'new')
    assert Path(path).read_text() == expected.getvalue()


def test_strange_tokens_are_escaped(boxes, tokens, tmp_path):
    strange = [f'"{token}" \\ ä' for token in tokens]
    content = json.loads(Path(write_submission(boxes, strange, {}, tmp_path)).read_text())
    assert list(content['results']) == strange
    assert content['results'][strange[0]][0]['sample_token'] == strange[0]


def test_what_is_read_is_what_was_written(boxes, tokens, tmp_path):
    path = write_submission(boxes, tokens, {}, tmp_path)
    back = read_submission(path, tokens, MOST)
    for name, values in boxes.columns().items():
        np.testing.assert_array_equal(values, getattr(back, name))
        assert values.dtype == getattr(back, name).dtype, name
    turned = read_submission(path, tokens[::-2], MOST)
    begins = boxes.of_samples(len(tokens))
    last = boxes.take(slice(begins[-2], begins[-1]))
    np.testing.assert_array_equal(turned.translation[: len(last)], last.translation)
    assert turned.sample.max() == len(tokens[::-2]) - 1


def change(path, edit):
    content = json.loads(Path(path).read_text())
    edit(content['results'])
    Path(path).write_text(json.dumps(content))


@pytest.mark.parametrize(
    'edit, message',
    [
        (lambda boxes: boxes.append(boxes[0]) or boxes.extend(boxes[:1] * 500), 'has 5.. boxes, .* takes 500 at most'),
        (lambda boxes: boxes[0].pop('velocity'), "KeyError: 'velocity'"),
        (lambda boxes: boxes[0].update(size=[1, 2]), 'a box needs'),
        (lambda boxes: boxes[0].update(translation=[1, 2, float('nan')]), 'a number that is NaN'),
        (lambda boxes: boxes[0].update(detection_score=float('nan')), 'a number that is NaN'),
        (lambda boxes: boxes[0].update(detection_name='tram'), "KeyError: 'tram'"),
        (lambda boxes: boxes[0].update(attribute_name='driving'), "KeyError: 'driving'"),
        (lambda boxes: boxes[0].update(size='abc'), 'no nuScenes submission'),
    ],
)
def test_files_that_the_devkit_refuses_are_refused(boxes, tokens, keyframes_val, tmp_path, edit, message):
    path = write_submission(boxes, tokens, {}, tmp_path)
    change(path, lambda results: edit(results[tokens[1]]))
    with pytest.raises(ValueError, match=message):
        read_submission(path, tokens, MOST)
    with pytest.raises((AssertionError, KeyError, TypeError, ValueError)):
        keyframes_val.evaluate_file(path, backend='devkit')


def test_missing_samples_are_counted_and_other_files_named(boxes, tokens, tmp_path):
    path = write_submission(boxes, tokens, {}, tmp_path)
    with pytest.raises(ValueError, match='2 of 72 samples are missing, first x'):
        read_submission(path, [*tokens, 'x', 'y'], MOST)
    for text in ('[]', '{"meta": {}}', '{"results": 3}', 'nothing'):
        Path(path).write_text(text)
        with pytest.raises(ValueError, match='no nuScenes submission'):
            read_submission(path, tokens, MOST)


def test_nothing_is_written_unless_asked_for(keyframes_val, found, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    monkeypatch.chdir(tmp_path)
    keyframes_val.evaluate(found(5))
    assert list(tmp_path.iterdir()) == []
