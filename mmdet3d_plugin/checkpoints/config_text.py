"""Values out of a config's text without running it: a checkpoint's meta holds such a text, and it may be anyone's."""

import ast
from typing import Any


def read_literals(text: str) -> dict[str, Any]:
    """Top-level names of a dumped config (``Config.pretty_text``) and their values.

    Only literals, lists, tuples, dicts and ``dict(...)`` are understood; a name whose value needs more is left out.

    Args:
        text: Python source.

    Returns:
        name -> value; empty when the text is no Python.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return {}
    values = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            try:
                values[node.targets[0].id] = _value(node.value)
            except ValueError:
                continue
    return values


def _value(node):
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict' and not node.args:
        return {keyword.arg: _value(keyword.value) for keyword in node.keywords if keyword.arg}
    if isinstance(node, ast.Dict) and all(node.keys):
        return {ast.literal_eval(key): _value(value) for key, value in zip(node.keys, node.values) if key}
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_value(item) for item in node.elts]
    return ast.literal_eval(node)


def look_up(values: Any, *path: str) -> Any:
    """Value at a path of keys, None where the path ends early."""
    for key in path:
        values = values.get(key) if isinstance(values, dict) else None
    return values
