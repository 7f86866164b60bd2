"""Who may import whom: a room knows the rooms before it in this list and no other, and no two know each other."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / 'mmdet3d_plugin'
# rooms of one line do not know each other
ORDER = [
    ['import_on_use', 'garbage_collection'],
    ['compat'],
    ['structures'],
    ['ops', 'checkpoints'],
    ['models', 'datasets'],
    ['synthetic'],
    ['virtual_points'],
    ['distill', 'hooks', 'deploy'],
    ['engine', 'visualization'],
    ['audit'],
]
FLOOR = {room: floor for floor, rooms in enumerate(ORDER) for room in rooms}


def imports_of(path):
    """Rooms that a file imports, at its top or inside functions, relative imports resolved."""
    own = path.relative_to(PACKAGE.parent).with_suffix('').parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        names = []
        if isinstance(node, ast.ImportFrom):
            base = own[: len(own) - node.level + 1] if node.level else ()
            target = [*base, *(node.module.split('.') if node.module else [])]
            names = [target] if len(target) > 1 else [[*target, alias.name] for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name.split('.') for alias in node.names]
        yield from (name[1] for name in names if name[0] == PACKAGE.name and len(name) > 1)


def edges():
    """(room, imported room, file) of all imports from one room into another."""
    for path in sorted(PACKAGE.rglob('*.py')):
        room = path.relative_to(PACKAGE).parts[0].removesuffix('.py')
        if room != '__init__':
            yield from ((room, other, path) for other in imports_of(path) if other != room)


def test_every_room_has_its_place():
    rooms = {path.name.removesuffix('.py') for path in PACKAGE.iterdir() if path.suffix == '.py' or path.is_dir()}
    assert rooms - {'__init__', '__pycache__'} == set(FLOOR)


def test_no_import_runs_up_or_sideways():
    wrong = {
        f'{path.relative_to(PACKAGE)} imports {other}' for room, other, path in edges() if FLOOR[other] >= FLOOR[room]
    }
    assert sorted(wrong) == []


@pytest.mark.parametrize('room', ['audit', 'datasets', 'visualization', 'engine'])
def test_distillation_knows_nothing_of_it(room):
    reachable, todo = set(), {'distill'}
    graph = {}
    for own, other, _ in edges():
        graph.setdefault(own, set()).add(other)
    while todo:
        reachable |= todo
        todo = set().union(*(graph.get(name, set()) for name in todo)) - reachable
    assert room not in reachable
