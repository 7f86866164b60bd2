"""Annotated boxes as objects for the devkit's evaluation, with the classes that the info files hold."""

from collections import Counter

from nuscenes.eval.common.data_classes import EvalBoxes
from nuscenes.eval.detection.constants import ATTRIBUTE_NAMES, DETECTION_NAMES
from nuscenes.eval.detection.data_classes import DetectionBox

from .truth_tables import warn_of_attributes


def load_ground_truth(nusc, gt_names):
    """Annotations of samples; for official categories exactly what the devkit's own loader returns.

    The devkit names classes by their official categories alone, and so loses the objects of any other category, which
    training has seen. Here the info files decide for both.

    Args:
        nusc (NuScenes): Tables with annotations.
        gt_names (dict[str, Sequence[str]]): Sample token -> ``gt_names`` of its info, one name an annotation, in the
            order of the tables. Names that are no detection class are left out.

    Returns:
        EvalBoxes: Boxes in the global frame. An attribute that nuScenes does not have becomes none, with a warning.

    Raises:
        ValueError: The tables have no such sample or another number of annotations: the info file is of other tables.
    """
    attributes = {record['token']: record['name'] for record in nusc.attribute}
    truth, unknown = EvalBoxes(), Counter()
    for token, names in gt_names.items():
        boxes = []
        for annotation, name in zip(_annotations(nusc, token, len(names)), names):
            if name in DETECTION_NAMES:
                attribute = _attribute(annotation, attributes)
                if attribute and attribute not in ATTRIBUTE_NAMES:
                    unknown[attribute] += 1
                    attribute = ''
                boxes.append(_box(nusc, token, annotation, str(name), attribute))
        truth.add_boxes(token, boxes)
    warn_of_attributes(unknown)
    return truth


def _annotations(nusc, token, count):
    """Annotation records of a sample, checked to be as many as its info has."""
    try:
        tokens = nusc.get('sample', token)['anns']
    except KeyError:
        tokens = None
    if tokens is None or len(tokens) != count:
        found = 'do not have it' if tokens is None else f'have {len(tokens)} annotation(s) of it'
        raise ValueError(
            f'sample {token}: its info has {count} annotation(s), but the tables of {nusc.version} in {nusc.dataroot} '
            f'{found}: make the info files again with tools/create_data.py'
        )
    return [nusc.get('sample_annotation', annotation) for annotation in tokens]


def _attribute(annotation, attributes):
    """str: Name of the one attribute of an annotation, '' for none."""
    tokens = annotation['attribute_tokens']
    if len(tokens) > 1:
        raise ValueError(
            f'annotation {annotation["token"]} has {len(tokens)} attributes, the evaluation takes one at most'
        )
    return attributes[tokens[0]] if tokens else ''


def _box(nusc, token, annotation, name, attribute):
    return DetectionBox(
        sample_token=token,
        translation=annotation['translation'],
        size=annotation['size'],
        rotation=annotation['rotation'],
        velocity=nusc.box_velocity(annotation['token'])[:2],
        num_pts=annotation['num_lidar_pts'] + annotation['num_radar_pts'],
        detection_name=name,
        detection_score=-1.0,  # as the devkit marks ground truth
        attribute_name=attribute,
    )
