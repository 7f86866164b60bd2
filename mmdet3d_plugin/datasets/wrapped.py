"""The data sets inside the config of a wrapper, for whoever looks at their pipelines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_KEYS = ('dataset', 'datasets', 'labelled', 'unlabelled')
MIXED = 'LabelledAndUnlabelled'


def wrapped_datasets(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """Configs, or lists of configs, of what a wrapper wraps, by key; empty for a data set that reads samples itself.

    Args:
        cfg: config of a data set.
    """
    found = {}
    for key in _KEYS:
        inner = cfg.get(key)
        if key == 'unlabelled' and cfg.get('type') == MIXED:
            inner = completed(inner, cfg['labelled'])
        if isinstance(inner, (list, tuple)):
            inner = [part for part in inner if 'type' in part]
        if inner and (isinstance(inner, list) or 'type' in inner):
            found[key] = inner
    return found


def completed(part: Any, labelled: Any) -> Any:
    """The unlabelled part of a mixed data set: what configs without a type do not say, they take from the labelled one.

    Args:
        part: config of a data set, or several, or anything else, which stays.
        labelled: config of the labelled part; its reader gives all but the choice of scenes.
    """
    if isinstance(part, (list, tuple)):
        return [completed(one, labelled) for one in part]
    if not isinstance(part, Mapping) or 'type' in part:
        return part
    return {**{key: value for key, value in first_reader(labelled).items() if key != 'labelled'}, **part}


def first_reader(cfg: Mapping[str, Any]) -> Mapping[str, Any]:
    """Config of the first data set inside wrappers that reads samples itself."""
    inner = wrapped_datasets(cfg)
    if not inner:
        return cfg
    first = next(iter(inner.values()))
    return first_reader(first if isinstance(first, Mapping) else first[0])


def may_be_unlabelled(cfg: Mapping[str, Any] | None) -> bool:
    """Whether a data set, going by its config, has samples without labels."""
    cfg = cfg or {}
    if cfg.get('type') == MIXED or cfg.get('info_kind') == 'unlabelled':
        return True
    inner = wrapped_datasets(cfg)
    parts = [part for item in inner.values() for part in (item if isinstance(item, (list, tuple)) else [item])]
    own = cfg.get('labelled')
    return any(map(may_be_unlabelled, parts)) or (not inner and bool(own) and own.get('use') != 'labelled')
