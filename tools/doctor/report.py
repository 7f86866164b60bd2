"""The whole report: gathered, without anybody's paths, as text and as JSON."""

import json
import textwrap
from dataclasses import asdict
from pathlib import Path

from . import datasets, environment, gpu
from .child import attempt, look_in_child
from .line import Line
from .next_steps import next_steps
from .private import scrubber

SECTIONS = ('environment', 'GPU', 'operators', 'data sets', 'checkpoints')
_EMPTY = {'data sets': 'none in data/', 'checkpoints': 'none in outputs/ and checkpoints/'}
_WIDTH, _SUBJECT = 118, 22  # characters of a line, and of its subject


def gather(root: Path) -> dict:
    """Look at everything.

    Args:
        root: The repository.

    Returns:
        dict[str, list[Line]]: The sections in their order.
    """
    sections = {
        'environment': attempt('environment', environment.look, root),
        'GPU': attempt('GPU', gpu.look_by_driver, root),
        'operators': [],
        'data sets': attempt('data sets', datasets.look, root),
        'checkpoints': [],
    }
    inside = look_in_child(root)
    for section, lines in inside.items():
        sections[section] += lines
    for section in SECTIONS:
        if not sections[section]:
            reached = section in inside or section not in ('operators', 'checkpoints')
            text = _EMPTY.get(section, 'nothing') if reached else 'not looked at: the libraries cannot be imported'
            sections[section].append(Line(section, 'note', text))
    return sections


def as_dict(sections: dict, root: Path) -> dict:
    """The report as plain values that hold no path of this machine.

    Args:
        sections (dict[str, list[Line]]): See :func:`gather`.
        root: The repository.

    Returns:
        dict: ``can_run`` (bool), ``problems`` (list[str]), ``sections`` and ``next``.
    """
    fatal = [f'{line.subject}: {line.text}' for lines in sections.values() for line in lines if line.verdict == 'fatal']
    plain = {name: [asdict(line) for line in lines] for name, lines in sections.items()}
    content = dict(can_run=not fatal, problems=fatal, sections=plain, next=next_steps(sections))
    return scrubber(root)(content)


def as_text(report: dict) -> str:
    """What :func:`as_dict` returns, for a terminal."""
    blocks = ['\n'.join([name, *map(_row, lines)]) for name, lines in report['sections'].items()]
    steps = [f'  {step["command"]}\n      {step["why"]}' for step in report['next']]
    blocks.append('\n'.join(['what to do next', *(steps or ['  nothing is missing'])]))
    if not report['can_run']:
        blocks.append('\n'.join(['this environment cannot run', *(f'  {problem}' for problem in report['problems'])]))
    return '\n\n'.join(blocks)


def _row(line):
    """A line; the text of one with a long subject stands below it."""
    verdict = line['verdict'].upper() if line['verdict'] in ('wrong', 'fatal') else line['verdict']
    start, indent = f'  {verdict:<6}{line["subject"]:<{_SUBJECT}}  ', ' ' * (10 + _SUBJECT)
    above = ''
    if len(line['subject']) > _SUBJECT:
        above, start = f'  {verdict:<6}{line["subject"]}\n', ' ' * 12
        indent = start
    whole = dict(break_long_words=False, break_on_hyphens=False)  # commands and paths can be copied
    return above + textwrap.fill(line['text'], _WIDTH, initial_indent=start, subsequent_indent=indent, **whole)


def as_json(report: dict) -> str:
    """What :func:`as_dict` returns, as JSON."""
    return json.dumps(report, indent=2)
