"""The nuScenes submission file as text, sample by sample."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from .box_arrays import BoxArrays
from .detection_classes import DETECTION_CLASSES
from .global_boxes import ATTRIBUTE_NAMES

RESULTS_FILE = 'results_nusc.json'
_ATTRIBUTES = (*ATTRIBUTE_NAMES, '')  # so that -1 is none


def sample_records(boxes: BoxArrays, token: str) -> list[dict]:
    """Boxes of one sample as the dicts that stand in a submission file."""
    return [
        dict(
            sample_token=token,
            translation=translation,
            size=size,
            rotation=rotation,
            velocity=velocity,
            detection_name=DETECTION_CLASSES[label],
            detection_score=score,
            attribute_name=_ATTRIBUTES[attribute],
        )
        for translation, size, rotation, velocity, label, score, attribute in _rows(boxes)
    ]


def _rows(boxes):
    names = ('translation', 'size', 'rotation', 'velocity', 'label', 'score', 'attribute')
    return zip(*(getattr(boxes, name).tolist() for name in names))


def submission_text(boxes: BoxArrays, tokens: Sequence[str], meta: Mapping) -> Iterator[str]:
    """Pieces of the file, the same bytes that ``json.dump`` would write.

    Args:
        boxes: Finite boxes of all samples.
        tokens: (S,) of the samples; one without a box gets an empty list.
        meta: What else the file says: ``use_camera``, ``use_lidar``, ``use_radar``, ``use_map``, ``use_external``.
    """
    begins = boxes.of_samples(len(tokens))
    yield f'{{"meta": {json.dumps(dict(meta))}, "results": {{'
    for index, token in enumerate(tokens):
        text = _sample_text(boxes.take(slice(begins[index], begins[index + 1])), json.dumps(token))
        yield f'{", " if index else ""}{json.dumps(token)}: [{text}]'
    yield '}}'


def _sample_text(boxes, token):
    """str: What is between the brackets of a sample. A list of finite floats looks the same in Python and in JSON."""
    return ', '.join(
        f'{{"sample_token": {token}, "translation": {translation}, "size": {size}, "rotation": {rotation}, '
        f'"velocity": {velocity}, "detection_name": "{DETECTION_CLASSES[label]}", "detection_score": {score}, '
        f'"attribute_name": "{_ATTRIBUTES[attribute]}"}}'
        for translation, size, rotation, velocity, label, score, attribute in _rows(boxes)
    )
