"""Whether the pipelines of a config make the batches that a detector was built for."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmdet3d.datasets.builder import PIPELINES
from torch import nn

from ..datasets.wrapped import wrapped_datasets


def effective(step: Mapping[str, Any], key: str) -> Any:
    """Value of a pipeline step's argument, its default where the config is silent; None for no such argument."""
    cls = PIPELINES.get(step['type'])
    if key in step or cls is None:
        return step.get(key)
    parameter = inspect.signature(cls).parameters.get(key)
    return None if parameter is None or parameter.default is parameter.empty else parameter.default


def tuple_of(value: Any) -> Any:
    """Lists and tuples as tuples, their numbers as floats, so that only values are compared."""
    if not isinstance(value, (list, tuple)):
        return value
    return tuple(item if isinstance(item, str) else float(item) for item in value)


def disagreements(model: nn.Module, pipeline: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What steps do otherwise than a detector needs it.

    Args:
        model: Detector, or the distiller of one; asked for ``pipeline_settings()`` when it has them.
        pipeline: Configs of the steps.

    Yields:
        Step, argument and both values.
    """
    detector: Any = getattr(model, 'student', model)
    wanted = detector.pipeline_settings() if hasattr(detector, 'pipeline_settings') else {}
    for step in pipeline:
        for (name, key), value in wanted.items():
            if step['type'] == name and tuple_of(effective(step, key)) != tuple_of(value):
                yield f'{name} has {key}={effective(step, key)}, the detector needs {value}'


def check_pipelines(model: nn.Module, dataset: Mapping[str, Any] | Sequence[Any] | None, place: str) -> None:
    """Refuse a data set whose pipeline makes other batches than a detector was built for.

    Args:
        model: See :func:`disagreements`.
        dataset: Config of a data set, or several; those that it wraps are looked at in its place.
        place: Where it stands in the config, ``data.test``.

    Raises:
        ValueError: Names the data set, the step, its argument and both values.
    """
    for where, pipeline in pipelines_of(dataset, place):
        for text in disagreements(model, pipeline):
            raise ValueError(f'{where}: {text}: make the two the same')


def pipelines_of(dataset: Any, place: str) -> Iterator[tuple[str, Sequence[Mapping[str, Any]]]]:
    """(place, steps) of every data set that reads samples, among those that a config wraps or lists."""
    if isinstance(dataset, (list, tuple)):
        for index, one in enumerate(dataset):
            yield from pipelines_of(one, f'{place}[{index}]')
    elif isinstance(dataset, Mapping):
        inner = wrapped_datasets(dataset)
        if not inner:
            yield place, dataset.get('pipeline') or []
        for key, wrapped in inner.items():
            yield from pipelines_of(wrapped, f'{place}.{key}')
