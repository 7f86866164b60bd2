"""Reads what the commands of the checks leave: pytest's report, the agreement of two devices, a benchmark's file."""

from __future__ import annotations

import json
from pathlib import Path

from matrix.report import count_tests

from .check import Found


def of_tests(junit: Path) -> Found:
    """Of pytest's JUnit report.

    Raises:
        OSError: It is not there.
        ValueError: It is no such report.
    """
    counts = count_tests(junit)
    return Found(counts['passed'], tuple(counts['failures']), counts['skipped'])


def of_agreement(report: Path) -> Found:
    """Of what ``compare_devices.py --out`` writes; each precision is one check.

    Raises:
        OSError, ValueError, KeyError: It is not there, or no such file.
    """
    precisions = json.loads(report.read_text())['precisions']
    failed = [f'{name}: {one["failures"][0]}' for name, one in precisions.items() if one['failures']]
    return Found(len(precisions) - len(failed), tuple(failed))


def of_benchmark(report: Path) -> Found:
    """Of what ``benchmark.py --out`` writes; a table where something ran out of memory still counts.

    Raises:
        OSError, ValueError, KeyError: It is not there, or no such file.
    """
    return Found(len(json.loads(report.read_text())['tables']))
