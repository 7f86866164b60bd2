"""Build-time checks that a student and a teacher speak about the same BEV, and what each level entry means.

Every check raises a one-line ValueError that names both sides and the fix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

from ..models.heads.base import BEVHead
from ..structures import BEVLevel
from .regions import RegionRules

_ENTRY_KEYS = {'student', 'teacher', 'aligner', 'loss', 'regions'}
_RULES = tuple(field.name for field in fields(RegionRules))


class Side(Protocol):
    """What the checks ask of a student or a teacher."""

    @property
    def head(self) -> BEVHead: ...

    def bev_levels(self) -> dict[str, BEVLevel]: ...


@dataclass(frozen=True)
class LevelEntry:
    """One entry of ``levels``, complete.

    Attributes:
        student, teacher: names of the level on each side.
        aligner: config of the aligner.
        loss: config of the feature loss; None for a level that only the response loss reads.
        regions: how its cells are divided.
    """

    student: str
    teacher: str
    aligner: Mapping[str, Any]
    loss: Mapping[str, Any] | None
    regions: RegionRules


def level_entries(
    levels: Mapping[str, Mapping[str, Any] | None] | Sequence[Mapping[str, Any]], may_be_none: bool = False
) -> dict[str, LevelEntry]:
    """Level entries by name, in the order of the config.

    Args:
        levels: {name: dict(aligner=..., loss=..., student=..., teacher=..., regions=...)}, where None switches an
            inherited level off, or a list of such dicts, each with its ``name``. The rules of the regions may stand in
            ``loss`` as well, where configs had them before ``regions`` was an entry of its own.
        may_be_none: something else than levels is distilled.

    Raises:
        ValueError: names the entry and what it takes.
    """
    if not isinstance(levels, Mapping):
        names = [entry['name'] for entry in levels]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f'levels: {", ".join(twice)} listed twice, keep one entry each')
        levels = {entry['name']: {key: entry[key] for key in entry if key != 'name'} for entry in levels}
    entries = {name: _level_entry(name, entry) for name, entry in levels.items() if entry is not None}
    if not entries and not may_be_none:
        raise ValueError(
            'levels: nothing to distill, list at least one level (or let the teacher label what nobody has labelled, '
            'unlabelled=dict(pseudo_labels=True))'
        )
    return entries


def _level_entry(name, entry):
    if not {'aligner'} <= set(entry) <= _ENTRY_KEYS:
        raise ValueError(
            f'levels: {name!r} takes aligner and, if you like, loss, regions, student and teacher, got {sorted(entry)}'
        )
    loss, rules = entry.get('loss'), dict(entry.get('regions') or {})
    unknown = sorted(set(rules) - set(_RULES))
    if unknown:
        raise ValueError(f'levels: regions of {name!r} takes {", ".join(_RULES)}, got {unknown}')
    if loss:
        rules = {**{key: loss[key] for key in _RULES if key in loss}, **rules}
        loss = {key: value for key, value in loss.items() if key not in _RULES}
    student, teacher = entry.get('student', name), entry.get('teacher', name)
    return LevelEntry(student, teacher, entry['aligner'], loss or None, RegionRules(**rules))


def parts_alone(model_cfg: Mapping[str, Any]) -> Mapping[str, Any]:
    """A distiller's config with that left out of the losses which the distiller reads itself; any other as it is.

    Those are the rules of the regions, where older configs have them, and the level of the response.
    """
    levels = model_cfg.get('levels')
    if not isinstance(levels, Mapping):
        return model_cfg

    def without(part, keys):
        return {key: value for key, value in part.items() if key not in keys} if isinstance(part, Mapping) else part

    bare = {
        name: dict(entry, loss=without(entry.get('loss'), _RULES)) if isinstance(entry, Mapping) else entry
        for name, entry in levels.items()
    }
    return dict(model_cfg, levels=bare, response=without(model_cfg.get('response'), ('level',)))


def pair_levels(
    entries: Mapping[str, LevelEntry], student: Side, teacher: Side
) -> dict[str, tuple[BEVLevel, BEVLevel]]:
    """(student level, teacher level) of each entry."""
    sides = {'student': student.bev_levels(), 'teacher': teacher.bev_levels()}
    for name, entry in entries.items():
        for side, levels in sides.items():
            wanted = getattr(entry, side)
            if wanted not in levels:
                raise ValueError(
                    f'levels: {wanted!r} is not a level of the {side}, which has {", ".join(levels)}: name one of '
                    f'them as {side}= of entry {name!r}'
                )
    return {name: (sides['student'][entry.student], sides['teacher'][entry.teacher]) for name, entry in entries.items()}


def check_same_extent(student: Side, teacher: Side) -> None:
    """All BEV maps of both sides must cover the same metres."""
    first_name, first = next(iter(student.bev_levels().items()))
    for side, detector in (('student', student), ('teacher', teacher)):
        for name, level in detector.bev_levels().items():
            if not level.grid.covers_same(first.grid):
                raise ValueError(
                    f'student covers {first.grid} (level {first_name!r}), {side} {level.grid} (level {name!r}): x and '
                    f'y must be the same, change the student config or take another teacher'
                )


def check_heads(student: BEVHead, teacher: BEVHead) -> None:
    """The student's head must train, and both must have the same classes, in the same order, on the same cells."""
    if not student.can_train:
        raise ValueError('student head cannot draw targets: give the student config a train_cfg with a pts section')
    if student.classes != teacher.classes:
        raise ValueError(
            f'student head has classes {student.classes}, teacher head {teacher.classes}: make the class order the same'
        )
    ours, theirs = student.confidence_grid, teacher.confidence_grid
    if ours is not None and theirs is not None and ours.size != theirs.size:
        raise ValueError(
            f'student head works on {ours.height}x{ours.width} cells, teacher head on {theirs.height}x{theirs.width}: '
            f'change the BEV stride of one of them'
        )


def check_false_positive_level(name: str, level: BEVLevel, head: BEVHead) -> None:
    """A level with a false-positive term needs a teacher's head that tells its confidence, on cells of that level."""
    for method in ('confidence', 'target_confidence'):
        if getattr(type(head), method) is getattr(BEVHead, method):
            raise ValueError(
                f'level {name!r}: its false-positive region needs {method}() of the teacher head, and '
                f'{type(head).__name__} has none: add it to the head, or set fp_weight=0 here'
            )
    if not head.can_train:
        raise ValueError('teacher head cannot draw targets: give the teacher config a train_cfg with a pts section')
    grid = head.confidence_grid
    if grid is not None and grid.size != level.grid.size:
        raise ValueError(
            f'level {name!r}: its false-positive region needs the confidence of {level.height}x{level.width} cells, '
            f'the teacher head gives {grid.height}x{grid.width}: set fp_weight=0 here, or use it at the level that the '
            f'head reads'
        )
