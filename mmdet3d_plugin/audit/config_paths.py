"""Where things stand in a config: dotted paths to every value, to equal values, and the path somebody meant."""

import difflib
from collections.abc import Iterator

_SHOWN = 6


def walk(node, path: tuple = ()) -> Iterator[tuple[tuple, object]]:
    """Every value below ``node`` with the strings that lead to it: keys of dicts, indices of lists."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, (list, tuple)) else ()
    for key, child in children:
        below = (*path, str(key))
        yield below, child
        yield from walk(child, below)


def value_at(node, path: tuple):
    """Value at a path of strings.

    Raises:
        KeyError: the path leads nowhere; its argument is the part that exists, a tuple.
    """
    for depth, part in enumerate(path):
        if isinstance(node, dict) and part in node:
            node = node[part]
        elif isinstance(node, (list, tuple)) and part.isdigit() and int(part) < len(node):
            node = node[int(part)]
        else:
            raise KeyError(path[:depth])
    return node


def places_of(value, name: str, node, roots) -> list[str]:
    """Dotted paths below ``roots`` whose value was made from a variable.

    Args:
        value: the variable's value. A folder is found in the paths below it, a list or dict as a whole; numbers and
            single words only under a key that resembles the variable's name, for they stand in many places by chance.
        name: the variable's name.
        node (dict): whole config.
        roots: top-level keys to look below.

    Returns:
        list[str]: outermost places only.
    """
    if value in (None, '', [], (), {}):
        return []
    wanted, found = _plain(value), []
    for path, other in walk({key: node[key] for key in node if key in roots}):
        if found and path[: len(found[-1])] == found[-1]:
            continue
        if _plain(other) == wanted and type(_plain(other)) is type(wanted):
            telling = isinstance(value, (list, tuple, dict)) or '/' in str(value)
            if telling or path[-1] in name or name in path[-1]:
                found.append(path)
        elif isinstance(value, str) and '/' in value and str(other).startswith(value.rstrip('/') + '/'):
            found.append(path)
    return ['.'.join(path) for path in found]


def few(places: list) -> str:
    """Some of many places as text."""
    rest = len(places) - _SHOWN
    return ', '.join(places[:_SHOWN]) + (f' and {rest} more' if rest > 0 else '')


def nearest(path: tuple, node, roots) -> str:
    """The dotted path that somebody who wrote ``path`` may have meant; '' when none is near.

    A first part that is no setting is looked for deeper down (``levels.head`` -> ``model.levels.head``), then
    respelt, whatever follows it. Else the same last key in the neighbourhood wins (``data.train.ann_file`` ->
    ``data.train.dataset.ann_file``), then a similar spelling.
    """
    if path[0] not in roots:
        close = difflib.get_close_matches(path[0], roots, n=1)
        return _deeper(path, node, roots) or ('.'.join((close[0], *path[1:])) if close else '')
    for depth in range(len(path) - 1, 0, -1):
        try:
            below = value_at(node, path[:depth])
        except KeyError:
            continue
        rest = '.'.join(path[depth:])
        known = [inner for inner, _ in walk(below) if path[depth:][: len(inner)] != inner]  # not what it is in
        same = ['.'.join(inner) for inner in known if inner[-1] == path[-1]]
        found = difflib.get_close_matches(rest, same, n=1, cutoff=0.3)
        found = found or difflib.get_close_matches(rest, ['.'.join(inner) for inner in known], n=1, cutoff=0.75)
        if found:
            return '.'.join((*path[:depth], found[0]))
    return ''


def _deeper(path, node, roots) -> str:
    """An existing group or value that ``path`` or its first parts lead to from further inside, and the rest of it."""
    known = [inner for inner, _ in walk(node) if inner[0] in roots]
    for depth in range(len(path), 0, -1):
        ends = [inner for inner in known if inner[-depth:] == path[:depth]]
        if ends:
            return '.'.join((*min(ends, key=len), *path[depth:]))
    return ''


def _plain(value):
    """A value with its tuples as lists, for comparison."""
    if isinstance(value, dict):
        return {key: _plain(child) for key, child in value.items()}
    return [_plain(child) for child in value] if isinstance(value, (list, tuple)) else value
