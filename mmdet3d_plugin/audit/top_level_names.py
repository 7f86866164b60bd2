"""Top-level names of a config file that nothing reads: misspelt settings, and variables that came too late."""

import ast
import difflib
import os.path as osp
import re
from dataclasses import dataclass

from ..engine.config import RUN_KEYS
from .config_problem import ConfigProblem

_OF_BASE = re.compile(r'_base_\.(\w+)')


@dataclass(frozen=True)
class ConfigSource:
    """Names in one config file.

    Attributes:
        path: the file.
        assigned: top-level names it sets.
        read: names its own expressions use.
        of_base: names it takes from its bases, ``{{_base_.name}}``.
    """

    path: str
    assigned: frozenset
    read: frozenset
    of_base: frozenset


def config_sources(path):
    """The config file and, after it, every file it inherits from.

    Args:
        path (str): config file.

    Returns:
        list[ConfigSource]
    """
    with open(path, encoding='utf-8') as stream:
        text = stream.read()
    tree = ast.parse(text, path)
    assigned, bases = set(), []
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, 'target', None)]
        names = {item.id for target in targets if target for item in ast.walk(target) if isinstance(item, ast.Name)}
        if names == {'_base_'}:
            value = ast.literal_eval(node.value)
            bases = [value] if isinstance(value, str) else list(value)
        assigned |= names
    read = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    source = ConfigSource(path, frozenset(assigned), frozenset(read), frozenset(_OF_BASE.findall(text)))
    folder = osp.dirname(path)
    return [source, *(inner for base in bases for inner in config_sources(osp.join(folder, base)))]


def unread_names(path):
    """Top-level names of a config file and its bases that nothing reads, one line each.

    A variable that a base built its lists from is not read again: setting it in a child changes nothing.

    Args:
        path (str): config file.

    Returns:
        list[str]: name the file, the name and what may have been meant.
    """
    inherited, found = set(), []
    for source in config_sources(path):
        known = RUN_KEYS | source.read | inherited
        names = sorted(name for name in source.assigned - known if not name.startswith('_'))
        found += [f'{source.path}: nothing reads {name!r}{_suggestion(name, RUN_KEYS)}' for name in names]
        inherited |= source.of_base
    return found


def check_names(path):
    """Raise unless every top-level name of a config file and its bases is read by something.

    Args:
        path (str): config file.

    Raises:
        ConfigProblem: the first of :func:`unread_names`.
    """
    for text in unread_names(path):
        raise ConfigProblem(text)


def _suggestion(name, known):
    close = difflib.get_close_matches(name, known, n=1)
    return f', did you mean {close[0]!r}?' if close else ': remove it, or use it in the same file'
