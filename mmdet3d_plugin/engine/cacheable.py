"""Whether the points of a sample come back unchanged, so that what a teacher said about them can be kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmdet3d.datasets.builder import PIPELINES
from mmdet3d.datasets.pipelines import LoadPointsFromMultiSweeps
from torch import nn

from .pipeline_agreement import effective, pipelines_of, tuple_of

# arguments with which a step moves all points of a sample alike each time; flips leave four variants
_STILL: dict[str, dict[str, tuple[float, ...]]] = {
    'GlobalBEVAug': dict(rot_range=(0.0, 0.0), scale_range=(1.0, 1.0)),
    'GlobalRotScaleTrans': dict(
        rot_range=(0.0, 0.0), scale_ratio_range=(1.0, 1.0), translation_std=(0.0, 0.0, 0.0)
    ),
}  # fmt: skip
# steps that draw points whatever their arguments
_DRAW = (
    *('ObjectSample', 'ObjectNoise', 'PointShuffle', 'PointSample', 'IndoorPointSample', 'RandomJitterPoints'),
    *('RandomShiftScale', 'VoxelBasedPointSampler'),
)


def check_cacheable(model: nn.Module, dataset: Mapping[str, Any] | Sequence[Any] | None, place: str) -> None:
    """Refuse a distiller whose teacher has a cache, when its training data never come back.

    Args:
        model: Detector or distiller; only a teacher with a cache matters.
        dataset: Config of the training data, or several; those that it wraps are looked at in its place.
        place: Where it stands in the config, ``data.train``.

    Raises:
        ValueError: Names the data set, the step and its arguments.
    """
    for where, pipeline in pipelines_of(dataset, place):
        for text in changing_points(model, pipeline):
            raise ValueError(f'{where}: {text}')


def changing_points(model: nn.Module, pipeline: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """One line for each step that draws points anew every time, for a distiller whose teacher has a cache."""
    if getattr(getattr(model, 'teacher', None), 'cache', None) is None:
        return
    for step in pipeline:
        drawn = ', '.join(_drawn(step))
        if drawn:
            yield (
                f'{drawn} changes the points at random, so model.teacher.cache would hardly ever read a map again: '
                f'change that (flips may stay), or set model.teacher.cache=None'
            )


def _drawn(step):
    """The step, or its arguments, that draw points; nothing for one that does not."""
    name, cls = step['type'], PIPELINES.get(step['type'])
    if name in _DRAW:
        yield name
    if effective(step, 'test_mode'):
        return
    for key, still in _STILL.get(name, {}).items():
        if tuple_of(effective(step, key)) != still:
            yield f'{name} with {key}={effective(step, key)}'
    if cls is not None and issubclass(cls, LoadPointsFromMultiSweeps):
        yield f'{name} with test_mode=False'
