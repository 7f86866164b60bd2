"""Top-level names of a config file that nothing reads: misspelt settings, and variables that came too late."""

import ast
import difflib
import os.path as osp
import re
from dataclasses import dataclass

from ..engine.config import RUN_KEYS
from .problems import ConfigProblem

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


def check_names(path):
    """Raise unless every top-level name of a config file and its bases is read by something.

    A variable that a base built its lists from is not read again: setting it in a child changes nothing, and that is
    an error as well.

    Args:
        path (str): config file.

    Raises:
        ConfigProblem: names the file, the name and what may have been meant.
    """
    inherited = set()
    for source in config_sources(path):
        known = RUN_KEYS | source.read | inherited
        for name in sorted(source.assigned - known):
            if not name.startswith('_'):
                raise ConfigProblem(f'{source.path}: nothing reads {name!r}{_suggestion(name, RUN_KEYS)}')
        inherited |= source.of_base


def check_option_roots(path, options):
    """Raise for a ``--cfg-options`` key whose first part is no setting, before it creates one that nothing reads.

    Args:
        path (str): config file.
        options (dict): overrides with dotted keys.

    Returns:
        list[str]: notes on options that only change a variable of the file: its value was used when the file was read.

    Raises:
        ConfigProblem: neither a setting nor a variable of the file.
    """
    variables = set().union(*(source.assigned for source in config_sources(path)))
    notes = []
    for option in options:
        root = option.split('.', 1)[0]
        if root in RUN_KEYS:
            continue
        if root not in variables:
            raise ConfigProblem(f'--cfg-options {option}: nothing reads {root!r}{_suggestion(root, RUN_KEYS)}')
        notes.append(
            f'--cfg-options {option} changes nothing by itself: {root!r} is a variable that the file has already used'
        )
    return notes


def _suggestion(name, known):
    close = difflib.get_close_matches(name, known, n=1)
    return f', did you mean {close[0]!r}?' if close else ': remove it, or use it in the same file'
