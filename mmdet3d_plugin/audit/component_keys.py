"""Keys of a component's config that its class never looks at.

Most constructors name their keywords, and Python refuses any other. Some of mmdet3d's and mmcv's end in ``**kwargs``:
what those do not know, they drop in silence.
"""

import difflib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass

from mmcv.cnn import MODELS as MMCV_MODELS
from mmcv.runner import HOOKS
from mmdet.core.bbox.builder import BBOX_CODERS
from mmdet.datasets.builder import DATASETS as MMDET_DATASETS
from mmdet.datasets.builder import PIPELINES as MMDET_PIPELINES
from mmdet.models.builder import MODELS as MMDET_MODELS
from mmdet3d.datasets.builder import DATASETS, PIPELINES
from mmdet3d.models.builder import MODELS

from ..distill.registry import DISTILL
from .config_problem import ConfigProblem

_REGISTRIES = (
    *(MODELS, MMDET_MODELS, MMCV_MODELS, BBOX_CODERS, DISTILL),
    *(DATASETS, PIPELINES, MMDET_DATASETS, MMDET_PIPELINES, HOOKS),
)
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def accepted_arguments(function):
    """Names of the arguments that a function spells out, and whether it takes any other as well."""
    parameters = inspect.signature(function).parameters.values()
    names = {parameter.name for parameter in parameters if parameter.kind in _NAMED}
    return names - {'self'}, any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)


def constructor_arguments(cls):
    """Keywords that a class or, where it passes others on, one of its parents spells out."""
    known = set()
    for parent in cls.__mro__:
        if '__init__' not in vars(parent) or parent is object:
            continue
        names, open_ended = accepted_arguments(parent.__init__)
        known |= names
        if not open_ended:
            break
    return known


def find_class(name):
    """The registered class of that name, None when there is none."""
    for registry in _REGISTRIES:
        cls = registry.get(name)
        if inspect.isclass(cls):
            return cls
    return None


@dataclass(frozen=True)
class UnreadKey:
    """A key of a config that no code looks at.

    Attributes:
        path: the keys and list indices that lead to it, ``('custom_hooks', 1, 'intervl')``.
        text: where it stands, and what may have been meant; one line.
    """

    path: tuple
    text: str


def spell(path: tuple) -> str:
    """A path as people write it: ``custom_hooks[1].interval``."""
    return ''.join(f'[{part}]' if isinstance(part, int) else f'.{part}' for part in path).lstrip('.')


def unknown_component_keys(node, path: tuple) -> Iterator[UnreadKey]:
    """Keys that the classes of a (nested) component config do not know.

    Args:
        node: config value; dicts with a registered ``type`` are looked at, all others only searched.
        path: where it stands.

    Yields:
        UnreadKey: names the place, the class, the key and what may have been meant.
    """
    if isinstance(node, (list, tuple)):
        for index, child in enumerate(node):
            yield from unknown_component_keys(child, (*path, index))
    if not isinstance(node, dict):
        return
    name = node.get('type')
    cls = find_class(name) if isinstance(name, str) else None
    if cls is not None:
        yield from unknown_keys(set(node) - {'type'}, constructor_arguments(cls), path, f' ({name})')
    for key, child in node.items():
        yield from unknown_component_keys(child, (*path, key))


def unknown_keys(keys, known, path: tuple, kind: str = '') -> Iterator[UnreadKey]:
    """Those of ``keys`` that are not ``known``; ``kind`` follows the place in the message."""
    for key in sorted(set(keys) - set(known)):
        close = difflib.get_close_matches(key, known, n=1)
        meant = f', did you mean {close[0]!r}?' if close else f'; it takes {", ".join(sorted(known)) or "nothing"}'
        yield UnreadKey((*path, key), f'{spell(path)}{kind}: unknown key {key!r}{meant}')


def check_component_keys(node, place: str) -> None:
    """Raise for a key that the class of a (nested) component config does not know.

    Args:
        node: config value, see :func:`unknown_component_keys`.
        place: where it stands, for messages.

    Raises:
        ConfigProblem: names the place, the class, the key and what may have been meant.
    """
    _refuse(unknown_component_keys(node, (place,)))


def check_known(keys, known, place: str) -> None:
    """Raise ConfigProblem for the first of ``keys`` that is not in ``known``."""
    _refuse(unknown_keys(keys, known, (place,)))


def _refuse(found) -> None:
    for unread in found:
        raise ConfigProblem(unread.text)
