"""One check: a command with a log, a time limit, and a way to count what it found."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from workflow.process import run_command
from workflow.progress import Console, clock, tail

LIMIT_SECONDS = 480  # a kernel or a process group that hangs must not keep the verdict back
_ERROR = re.compile(r'^(error: |E  |\w*Error\b|\S+ operators are not compiled)')


class OutOfTimeError(RuntimeError):
    """A check's command did not end in time."""


@dataclass(frozen=True)
class Found:
    """What the result of a command says.

    Args:
        passed: number of single checks that passed.
        failed: names, or sentences, of those that failed.
        skipped: number of those that were left out.
    """

    passed: int
    failed: tuple[str, ...] = ()
    skipped: int = 0


@dataclass(frozen=True)
class Outcome:
    """What came of a check.

    Args:
        name: of the check.
        title: for people.
        status: 'passed', 'failed' or 'skipped'.
        found: the numbers; a command that failed and names nothing counts as one failed check.
        seconds: what it took.
        reason: why it was skipped, or what failed, in one line.
    """

    name: str
    title: str
    status: str
    found: Found
    seconds: float = 0.0
    reason: str = ''


@dataclass(frozen=True)
class Check:
    """A step of the whole.

    Args:
        name: file-name-safe, the only one of its kind.
        title: for the console.
        command: the program first; ``python`` means the running interpreter.
        count: reads what the command left; called when it has ended, whatever its exit status. None where that status
            says all.
        results: files that the command writes; those of an earlier run are removed first.
        skipped: why it is not run here; empty where it is.
        limit: seconds after which it is stopped.
    """

    name: str
    title: str
    command: tuple[str, ...]
    count: Callable[[], Found] | None = None
    results: tuple[Path, ...] = field(default=())
    skipped: str = ''
    limit: float = LIMIT_SECONDS

    def run(self, log: Path, label: str, environment: dict[str, str]) -> Outcome:
        """Run the command; whatever goes wrong is an outcome, only an interruption is not.

        Args:
            log: gets what the command prints.
            label: start of the console's lines, such as '[2/9]'.
            environment: variables of the command beside those of this process.
        """
        console = Console(f'{label} {self.title}')
        if self.skipped:
            console.write(f'skipped: {self.skipped}')
            return Outcome(self.name, self.title, 'skipped', Found(0), reason=self.skipped)
        for result in self.results:
            result.unlink(missing_ok=True)
        console.start(resumed=False)
        start = time.monotonic()
        problem = self._execute(log, console, environment, start)
        outcome = self._judge(problem, log, time.monotonic() - start)
        console.write(f'{_describe(outcome)} in {clock(outcome.seconds)}')
        return outcome

    def _execute(self, log, console, environment, start):
        """What went wrong with the command itself, empty when nothing did."""

        def watch():
            if time.monotonic() - start > self.limit:
                raise OutOfTimeError(f'stopped after {clock(self.limit)}')
            console.tell_progress(log, None)

        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, 'w') as output:
            try:
                code = run_command(self.command, output, environment, watch)
            except (OutOfTimeError, OSError) as error:
                return str(error)
        return f'exit status {code}' if code else ''

    def _judge(self, problem, log, seconds):
        try:
            found = self.count() if self.count else Found(0 if problem else 1)
        except (OSError, ValueError, KeyError) as error:
            found, problem = Found(0), problem or f'no result: {error}'
        if not problem and not found.failed and not found.passed:
            problem = 'nothing was checked'
        if problem and not found.failed:
            found = Found(found.passed, (_last_error(log, problem),), found.skipped)
        status, reason = ('failed', f'{found.failed[0]} (log: {log})') if found.failed else ('passed', '')
        return Outcome(self.name, self.title, status, found, seconds, reason)


def _last_error(log, problem):
    """The problem with the last line of the log that looks like its cause."""
    causes = [line for line in tail(log) if _ERROR.match(line)]
    return f'{problem}: {causes[-1]}' if causes else problem


def _describe(outcome):
    found = outcome.found
    text = f'{found.passed} passed'
    if found.skipped:
        text += f', {found.skipped} skipped'
    if outcome.status == 'failed':
        return f'FAILED ({len(found.failed)} failed, {text}): {outcome.reason}'
    return text
