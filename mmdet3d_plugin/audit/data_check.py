"""Data sets and pipelines of a config without their files: keys, steps, and agreement with the detector."""

import copy
import inspect

from mmdet3d.datasets.builder import PIPELINES

from ..datasets.wrapped import wrapped_datasets
from ..engine.pipeline_agreement import disagreements, tuple_of
from ..structures import BEVGrid
from .component_keys import find_class
from .config_problem import ConfigProblem, blame
from .unread_keys import SPLITS


def check_data_sets(data):
    """Check the ``data`` part of a config by itself.

    Args:
        data (dict): with ``train``, ``val`` and ``test``.

    Returns:
        dict: place in the config -> (split, config of a data set there that reads samples).

    Raises:
        ConfigProblem: names the split and the key or pipeline step.
    """
    found = {}
    for split in SPLITS:
        if split not in data:
            raise ConfigProblem(f'data: {split} is missing')
        inner = dict(_innermost(data[split], f'data.{split}'))
        # a split of one data set is called by its name, whatever wraps it
        places = [f'data.{split}'] if len(inner) == 1 else list(inner)
        found.update({place: (split, dataset) for place, dataset in zip(places, inner.values())})
    for place, (_, dataset) in found.items():
        _build_steps(dataset.get('pipeline') or [], f'{place}.pipeline')
    return found


def _innermost(dataset, place):
    """(place, config) of what wrappers like class-balanced sampling hold; each must get every argument it needs."""
    cls = find_class(dataset.get('type'))
    if cls is None:
        raise ConfigProblem(f'{place}: no data set is registered as {dataset.get("type")!r}')
    arguments = {key: value for key, value in dataset.items() if key != 'type'}
    with blame(f'{place} ({dataset["type"]})'):
        inspect.signature(cls).bind(**arguments)
    inner = wrapped_datasets(dataset)
    if not inner:
        yield place, dataset
    for key, wrapped in inner.items():
        for index, part in enumerate(wrapped if isinstance(wrapped, (list, tuple)) else [wrapped]):
            at = f'[{index}]' if isinstance(wrapped, (list, tuple)) else ''
            yield from _innermost(part, f'{place}.{key}{at}')


def _build_steps(pipeline, place):
    for index, step in enumerate(pipeline):
        try:
            with blame(f'{place}[{index}] ({step.get("type")})'):
                PIPELINES.build(copy.deepcopy(step))
        except ConfigProblem as problem:
            # a sampler of ground truth opens its data base when built: not there is not wrong
            if not isinstance(problem.__cause__, FileNotFoundError):
                raise


def check_agreement(data_sets, detector, inputs):
    """Raise where the data do not give a detector what it was built for.

    Args:
        data_sets (dict): see :func:`check_data_sets`.
        detector (BEVDetector): the one that is trained.
        inputs (dict): split -> keys of the batch that the detector, or its teacher, reads there.

    Raises:
        ConfigProblem: names both sides.
    """
    classes, grid = detector.head.classes, next(iter(detector.bev_levels().values())).grid
    for place, (split, dataset) in data_sets.items():
        ours = list(dataset.get('classes') or classes)
        if ours != classes:
            raise ConfigProblem(f'{place}: classes {ours}, but the head has {classes}: make names and order the same')
        pipeline = dataset.get('pipeline') or []
        for text in disagreements(detector, pipeline):
            raise ConfigProblem(f'{place}: {text}')
        for step in pipeline:
            _check_range(step, grid, place)
        _check_keys(pipeline, inputs[split] | (detector.targets if split == 'train' else set()), place)


def _check_range(step, grid, place):
    if step['type'] not in ('PointsRangeFilter', 'ObjectRangeFilter'):
        return
    ours = tuple_of(step['point_cloud_range'])
    if not grid.covers_same(BEVGrid.from_range(ours, *grid.size)):
        raise ConfigProblem(
            f'{place}: {step["type"]} keeps {ours}, the detector covers {grid.extent} (x, y, x, y): '
            f'make x and y the same'
        )


def _check_keys(pipeline, wanted, place):
    collected = {key for step in pipeline for key in step.get('keys', ())}
    if wanted - collected:
        raise ConfigProblem(
            f'{place}: the pipeline collects {sorted(collected)}, the detector also needs {sorted(wanted - collected)}'
        )
    if 'points' in collected - wanted:
        raise ConfigProblem(f'{place}: the pipeline collects points that no detector reads: leave them out')
