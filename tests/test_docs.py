"""The documents have no gaps: no placeholder left over, no link to a file or heading that is not there."""

import re
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted(
    path.relative_to(REPO).as_posix()
    for pattern in ('*.md', 'docs/*.md', 'configs/**/*.md')
    for path in REPO.glob(pattern)
)


def anchors(path):
    """Headings as GitHub names them in links."""
    headings = re.findall(r'^#+ (.+)$', re.sub(r'```.*?```', '', path.read_text(), flags=re.S), flags=re.M)
    return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in headings}


@pytest.mark.parametrize('name', DOCUMENTS)
def test_no_placeholder_is_left(name):
    assert re.findall(r'\{\{\s*[A-Z][A-Z0-9_]*\s*\}\}', (REPO / name).read_text()) == []


@pytest.mark.parametrize('name', DOCUMENTS)
def test_relative_links_lead_somewhere(name):
    path = REPO / name
    text = re.sub(r'```.*?```', '', path.read_text(), flags=re.S)
    dead = []
    for target in re.findall(r'\]\(([^()\s]+)\)', text):
        if re.match(r'[a-z]+:', target):
            continue
        file, _, anchor = target.partition('#')
        there = path.parent / file if file else path
        if not there.exists() or (anchor and there.suffix == '.md' and anchor not in anchors(there)):
            dead.append(target)
    assert dead == []


def test_commands_name_files_that_exist():
    dead = set()
    for name in DOCUMENTS:
        for target in re.findall(
            r'(?<![\w/.-])(?:\./)?((?:tools|scripts|configs)/[\w/.-]+\.(?:py|sh))\b', (REPO / name).read_text()
        ):
            if not (REPO / target).is_file():
                dead.add(f'{name}: {target}')
    assert not dead
