"""What came of the pairs of Python and torch, as a table, a JSON file and a Markdown file."""

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import asdict, dataclass, field
from pathlib import Path

from workflow.step import write_text

from dualdistill_cli.tables import as_markdown

HEADER = ['Python', 'torch', 'numpy', 'mmcv-full', 'outcome', 'passed', 'failed', 'skipped', 'set-up s', 'tests s']


@dataclass
class Outcome:
    """One pair.

    Args:
        python (str): The version, as wanted ('3.9') or as found ('3.9.18').
        torch (str): The version, with its build ('2.8.0+cu128') where it was installed.
        status (str): 'passed', or what failed.
        reason (str): One line for people, empty when all is well.
        numpy (str): Its version.
        mmcv (str): Version, device and origin of mmcv-full.
        passed (int): Tests.
        failed (int): Tests, those that could not start included.
        skipped (int): Tests.
        setup_seconds (float): Time of the set-up.
        test_seconds (float): Time of the tests.
        failures (list[str]): Names of the failed tests.
        commit (str): What was tested.
    """

    python: str
    torch: str
    status: str
    reason: str = ''
    numpy: str = '-'
    mmcv: str = '-'
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    setup_seconds: float = 0.0
    test_seconds: float = 0.0
    failures: list[str] = field(default_factory=list)
    commit: str = ''


def count_tests(junit: Path) -> dict:
    """Read pytest's JUnit report.

    Returns:
        dict: ``passed``, ``failed``, ``skipped`` (int) and ``failures`` (list[str]).

    Raises:
        ValueError: The file is not such a report.
    """
    try:
        cases = list(ElementTree.parse(junit).getroot().iter('testcase'))
    except ElementTree.ParseError as error:
        raise ValueError(f'{junit} is not a report of pytest: {error}') from error
    failures = [_name(case) for case in cases if case.find('failure') is not None or case.find('error') is not None]
    skipped = sum(case.find('skipped') is not None for case in cases)
    failed = len(set(failures))  # a test that fails and whose clean-up fails is written twice
    return {
        'passed': len({_name(case) for case in cases}) - failed - skipped,
        'failed': failed,
        'skipped': skipped,
        'failures': sorted(set(failures)),
    }


def _name(case):
    return f'{case.get("classname", "")}::{case.get("name", "")}'.lstrip(':')


def rows_of(outcomes: list[Outcome]) -> list[list[str]]:
    """Header, then one row per pair."""
    rows = [HEADER]
    for one in outcomes:
        numbers = (one.passed, one.failed, one.skipped, round(one.setup_seconds), round(one.test_seconds))
        rows.append([one.python, one.torch, one.numpy, one.mmcv, one.status, *map(str, numbers)])
    return rows


def remarks_of(outcomes: list[Outcome]) -> list[str]:
    """Lines that say what failed: the reason, then the names of the failed tests."""
    lines = []
    for one in outcomes:
        if one.reason:
            lines.append(f'{one.python} + {one.torch}: {one.reason}')
        lines += [f'- `{name}`' for name in one.failures]
    return lines


def write_reports(outcomes: list[Outcome], folder: Path) -> None:
    """Write ``matrix.json`` and ``matrix.md``."""
    write_text(folder / 'matrix.json', json.dumps([asdict(one) for one in outcomes], indent=2) + '\n')
    write_text(folder / 'matrix.md', '\n\n'.join([as_markdown(rows_of(outcomes)), *remarks_of(outcomes)]) + '\n')
