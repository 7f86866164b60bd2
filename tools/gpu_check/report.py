"""The verdict, and the files that say how it came about."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from workflow.progress import clock
from workflow.step import write_text

from dualdistill_cli.tables import as_markdown

from .check import Outcome

if TYPE_CHECKING:
    from .machine import Machine


def counts(outcomes: list[Outcome]) -> tuple[int, int]:
    """(single checks that ran, those of them that failed)."""
    failed = sum(len(one.found.failed) for one in outcomes)
    return sum(one.found.passed for one in outcomes) + failed, failed


def verdict(outcomes: list[Outcome], machine: Machine, seconds: float, partial: bool = False) -> tuple[bool, str]:
    """Whether all is well, and the one line that says so.

    Args:
        outcomes: of all checks.
        machine: what was checked.
        seconds: that the whole took.
        partial: only some of the checks were asked for.
    """
    number, failed = counts(outcomes)
    passed = number > 0 and failed == 0
    count = f'{number} checks' if passed else f'{failed} of {number} checks failed'
    where = machine.name if machine.device == 'cuda' else 'a CPU'
    rehearsal = '' if machine.device == 'cuda' else 'REHEARSAL '
    parts = [
        f'{rehearsal}{"PASS" if passed else "FAIL"}: {count} on {where}',
        machine.versions,
        f'{clock(seconds)} min',
    ]
    skipped = [one.name for one in outcomes if one.status == 'skipped']
    if skipped:
        parts.append(f'skipped: {", ".join(skipped)}')
    if not passed:
        parts.append(f'failed: {", ".join(one.name for one in outcomes if one.status == "failed") or "nothing ran"}')
    if partial:
        parts.append('only a part of the checks')
    if rehearsal:
        parts.append('this says nothing about a GPU')
    return passed, '; '.join(parts)


def write_reports(
    outcomes: list[Outcome], machine: Machine, seconds: float, line: str, passed: bool, out_dir: Path
) -> None:
    """Write ``check_gpu.json`` and ``check_gpu.md``: the verdict, every check, and how far the devices are apart."""
    number, failed = counts(outcomes)
    content = dict(
        passed=passed, verdict=line, checks=number, failed=failed, seconds=round(seconds, 1),
        machine=asdict(machine), steps=[asdict(one) for one in outcomes],
    )  # fmt: skip
    write_text(out_dir / 'check_gpu.json', json.dumps(content, indent=1) + '\n')
    rows = [['check', 'outcome', 'passed', 'failed', 'skipped', 'time', 'remark']]
    for one in outcomes:
        found = one.found
        numbers = map(str, (found.passed, len(found.failed), found.skipped))
        rows.append([one.title, one.status, *numbers, clock(one.seconds), one.reason.replace('|', '/')])
    parts = [line, as_markdown(rows)]
    for one in outcomes:
        report = out_dir / f'{one.name}.json'
        if one.name.startswith('agreement_') and one.status != 'skipped' and report.is_file():
            parts += [f'**{one.title}**', as_markdown(json.loads(report.read_text())['table'])]
    write_text(out_dir / 'check_gpu.md', '\n\n'.join(parts) + '\n')


def write_timings(outcomes: list[Outcome], machine: Machine, out_dir: Path) -> bool:
    """Write ``timings.md``: the tables of the benchmarks, as docs/performance.md holds them.

    Each stands between comments, so that ``benchmark.py tables`` finds it again there.

    Returns:
        bool: Whether there was anything to write.
    """
    from analysis_tools.benchmarks.report import describe

    timed = [one for one in outcomes if one.name.startswith('time_') and one.status == 'passed']
    head = f'## {machine.name}' if machine.name else '## A rehearsal on a CPU: these times mean nothing'
    parts = [head]
    for one in timed:
        path = out_dir / f'{one.name.replace("time_", "", 1)}_{machine.device}.json'
        report = json.loads(path.read_text())
        for name, rows in report['tables'].items():
            place = f'<!-- table {path.stem}/{name} -->'
            parts.append('\n\n'.join([place, as_markdown(rows), describe(report), '<!-- end of table -->']))
    if timed:
        write_text(out_dir / 'timings.md', '\n\n'.join(parts) + '\n')
    return bool(timed)
