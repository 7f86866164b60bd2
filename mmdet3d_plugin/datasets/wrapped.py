"""The data sets inside the config of a wrapper, for whoever looks at their pipelines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_KEYS = ('dataset', 'datasets', 'labelled', 'unlabelled')


def wrapped_datasets(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """Configs, or lists of configs, of what a wrapper wraps, by key; empty for a data set that reads samples itself.

    Args:
        cfg: config of a data set.
    """
    found = {}
    for key in _KEYS:
        inner = cfg.get(key)
        if isinstance(inner, (list, tuple)):
            inner = [part for part in inner if 'type' in part]
        if inner and (isinstance(inner, list) or 'type' in inner):
            found[key] = inner
    return found


def first_reader(cfg: Mapping[str, Any]) -> Mapping[str, Any]:
    """Config of the first data set inside wrappers that reads samples itself."""
    inner = wrapped_datasets(cfg)
    if not inner:
        return cfg
    first = next(iter(inner.values()))
    return first_reader(first if isinstance(first, Mapping) else first[0])


def may_be_unlabelled(cfg: Mapping[str, Any] | None) -> bool:
    """Whether a data set, going by its config, has samples without labels."""
    if (cfg or {}).get('type') == 'LabelledAndUnlabelled':
        return True
    inner = wrapped_datasets(cfg or {})
    parts = [part for item in inner.values() for part in (item if isinstance(item, (list, tuple)) else [item])]
    own = (cfg or {}).get('labelled')
    return any(map(may_be_unlabelled, parts)) or (not inner and bool(own) and own.get('use') != 'labelled')
