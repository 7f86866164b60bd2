"""Public signatures say what they take and give; mypy (``.ci/run``) checks that it is true.

Public is what has no leading underscore, in a class or module that has none. Nothing is imported here.
"""

import ast
import re
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]
ROOMS = ['structures', 'ops', 'models', 'distill', 'checkpoints', 'engine']
FILES = [path for room in ROOMS for path in sorted((REPO / 'mmdet3d_plugin' / room).rglob('*.py'))]
# types that say nothing without what is in them
GENERIC = {'dict', 'list', 'tuple', 'set', 'frozenset', 'type', 'Optional', 'Union', 'Callable'}
GENERIC |= {'Mapping', 'Sequence', 'Collection', 'Iterable', 'Iterator'}


def is_public(name):
    return not name.startswith('_') or (name.startswith('__') and name.endswith('__'))


def definitions(body, inside=None):
    """(name, node, class around it) of public classes and functions, methods included."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and is_public(node.name):
            name = f'{inside.name}.{node.name}' if inside else node.name
            yield name, node, inside
            if isinstance(node, ast.ClassDef):
                yield from definitions(node.body, node)


def arguments(function, inside):
    """All arguments but ``self`` and ``cls``."""
    spec = function.args
    positional = spec.posonlyargs + spec.args
    decorators = {getattr(decorator, 'id', None) for decorator in function.decorator_list}
    if inside is not None and 'staticmethod' not in decorators:
        positional = positional[1:]
    return positional + spec.kwonlyargs + [last for last in (spec.vararg, spec.kwarg) if last]


def missing_hints(name, function, inside):
    for argument in arguments(function, inside):
        if argument.annotation is None:
            yield f'{name}: {argument.arg}'
    if function.returns is None:
        yield f'{name}: what it returns'


def annotations(node, inside):
    if isinstance(node, ast.ClassDef):
        return [part.annotation for part in node.body if isinstance(part, ast.AnnAssign)]
    found = [argument.annotation for argument in arguments(node, inside)] + [node.returns]
    return [annotation for annotation in found if annotation is not None]


def bare_generics(annotation):
    """Names of generic types in an annotation that do not say what is in them."""
    filled = {id(part.value) for part in ast.walk(annotation) if isinstance(part, ast.Subscript)}
    names = [part for part in ast.walk(annotation) if isinstance(part, ast.Name) and part.id in GENERIC]
    return [part.id for part in names if id(part) not in filled]


def typed_entries(docstring):
    """Entries such as ``name (int): ...`` of a docstring's arguments and attributes."""
    for section in re.findall(r'^ *(?:Args|Attributes):\n(.*?)(?:\n\s*\n|\Z)', docstring, re.M | re.S):
        yield from re.findall(r'^ *\*{0,2}\w+(?:, \w+)* \([^)]*\):', section, re.M)


@pytest.fixture(scope='module')
def public():
    """(file, name, node, class around it) of all rooms."""
    return [
        (path.relative_to(REPO).as_posix(), *found)
        for path in FILES
        for found in definitions(ast.parse(path.read_text(), str(path)).body)
    ]


def test_every_public_signature_is_annotated(public):
    missing = [
        f'{path}: {text}'
        for path, name, node, inside in public
        if not isinstance(node, ast.ClassDef)
        for text in missing_hints(name, node, inside)
    ]
    assert missing == []


def test_hints_say_what_is_in_a_collection(public):
    bare = [
        f'{path}: {name}: {ast.unparse(annotation)}'
        for path, name, node, inside in public
        for annotation in annotations(node, inside)
        if bare_generics(annotation)
    ]
    assert bare == []


def test_docstrings_leave_types_to_the_hints(public):
    typed = [
        f'{path}: {name}: {entry.strip()}'
        for path, name, node, _ in public
        for entry in typed_entries(ast.get_docstring(node) or '')
    ]
    assert typed == []


def test_the_checks_can_fail():
    tree = ast.parse(
        'class A:\n  def f(self, a, *, b: int = 0, **c): ...\n  def _g(self, a): ...\ndef h(a: dict) -> int: ...'
    )
    found = list(definitions(tree.body))
    assert [name for name, _, _ in found] == ['A', 'A.f', 'h']
    assert list(missing_hints(*found[1])) == ['A.f: a', 'A.f: c', 'A.f: what it returns']
    assert list(missing_hints(*found[2])) == []
    assert [bare_generics(annotation) for annotation in annotations(*found[2][1:])] == [['dict'], []]
    assert list(typed_entries('Text.\n\nArgs:\n    a (int): one.\n    b: two (int): no type.')) == ['    a (int):']


def test_mypy_checks_these_rooms_in_ci():
    settings = (REPO / 'pyproject.toml').read_text()
    (packages,) = re.findall(r'^packages = \[\n(.*?)\]', settings, re.M | re.S)
    assert re.findall(r'"mmdet3d_plugin\.(\w+)"', packages) == ROOMS
    assert '.venv/bin/python -m mypy\n' in (REPO / '.ci/run').read_text()
