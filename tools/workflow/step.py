"""One step of a workflow: a command with a log, and a marker that remembers how far it came."""

import contextlib
import hashlib
import json
import os
import shlex
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Optional

from .process import run_command
from .progress import Console, clock, tail

FAILED_LOG_LINES = 30


class StepFailedError(RuntimeError):
    """A step's command failed; the message holds the end of its log and the command that runs it again."""


class StepStoppedError(RuntimeError):
    """A step was stopped from outside before its command ended."""


@dataclass(frozen=True)
class Step:
    """What to run and how to know that it is done.

    Args:
        name: File-name-safe name, the only one of its kind in ``home``.
        title: Shown on the console.
        command (tuple[str, ...]): The program first; ``python`` means the running interpreter.
        home: Gets the marker, ``steps/<name>.json``, and the log, ``logs/<name>.log``.
        outputs (tuple[Path, ...]): Files that must exist after (and for skipping) the step.
        settings: Text of everything that decides the outcome beside the command (a resolved config).
        after (tuple[Step, ...]): Steps whose outcome this one uses: when one changes, this one runs again.
        work_dir: Folder that belongs to the step, which empties it when it starts over.
        resume_flag: Appended when the same step was interrupted and ``work_dir`` exists.
        max_epochs: For the progress line of trainings.
        shown: What the command prints goes to the console and not to the log, and there is no progress line.
    """

    name: str
    title: str
    command: tuple
    home: Path
    outputs: tuple = ()
    settings: str = ''
    after: tuple = ()
    work_dir: Optional[Path] = None
    resume_flag: Optional[str] = None
    max_epochs: Optional[int] = None
    shown: bool = False

    @classmethod
    def of_tool(cls, name: str, title: str, words: list, home: Path, **kwargs) -> 'Step':
        """A step that runs one of the project's tools: its file, then its arguments, strings or what ``str`` takes."""
        return cls(name, title, ('python', *map(str, words)), home, **kwargs)

    @property
    def marker(self) -> Path:
        """JSON file that says what ran, for how long, and whether it finished."""
        return self.home / 'steps' / f'{self.name}.json'

    @property
    def log(self) -> Path:
        """What the command prints, of all its attempts where it was resumed."""
        return self.home / 'logs' / f'{self.name}.log'

    @property
    def fingerprint(self) -> str:
        """Hash of the command, the settings and every step this one comes after."""
        parts = [*self.command, self.settings, *(step.fingerprint for step in self.after)]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]

    def read_marker(self) -> dict:
        """The marker's content, empty when there is none or it belongs to other settings."""
        try:
            content = json.loads(self.marker.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return {}
        return content if content.get('fingerprint') == self.fingerprint else {}

    def write_marker(self, finished: bool, seconds: float) -> None:
        """Replace the marker."""
        content = {
            'name': self.name,
            'finished': finished,
            'seconds': round(seconds, 1),
            'command': shlex.join(self.command),
            'fingerprint': self.fingerprint,
        }
        write_text(self.marker, json.dumps(content, indent=2) + '\n')

    def is_done(self) -> bool:
        """True when the marker says finished with these settings and every output still exists."""
        return self.read_marker().get('finished', False) and all(path.exists() for path in self.outputs)

    def run(
        self, console: Optional[Console] = None, environment: Optional[dict] = None, stop: Optional[Event] = None
    ) -> float:
        """Run the step unless it is done.

        Args:
            console: Default: lines that begin with the title.
            environment: Variables of the command beside those of this process.
            stop: Ends the command when it is set by another thread.

        Returns:
            Seconds the step took, interrupted earlier attempts included (from the marker when skipped).

        Raises:
            StepFailedError: The command returned non-zero or an output is missing.
            StepStoppedError: ``stop`` was set.
        """
        console, before = console or Console(self.title), self.read_marker()
        if self.is_done():
            console.write(f'done before ({clock(before["seconds"])}), skipped')
            return before['seconds']
        resumed = self._can_resume(before)
        spent = before['seconds'] if resumed else self._start_over()
        command = (*self.command, self.resume_flag) if resumed else self.command
        console.start(resumed, stays=self.shown)
        start = time.monotonic()
        try:
            self._execute(command, environment or {}, console, stop)
        finally:
            seconds = spent + time.monotonic() - start
            self.write_marker(finished=False, seconds=seconds)
        self.write_marker(finished=True, seconds=seconds)
        console.write(f'finished in {clock(seconds)}')
        return seconds

    def _can_resume(self, before):
        return self.resume_flag is not None and bool(before) and not before['finished'] and self.work_dir.exists()

    def _start_over(self):
        """Remove what an earlier attempt left. Returns the seconds spent so far, which are none."""
        if self.work_dir is not None and self.work_dir.exists():
            if not self.marker.exists():
                raise StepFailedError(
                    f'step "{self.name}" would overwrite {self.work_dir}, which it did not make; '
                    f'move that folder away or choose another output folder'
                )
            shutil.rmtree(self.work_dir)
        self.log.unlink(missing_ok=True)
        self.write_marker(finished=False, seconds=0.0)
        return 0.0

    def _execute(self, command, environment, console, stop):
        def watch():
            if stop is not None and stop.is_set():
                raise StepStoppedError(f'step "{self.name}" was stopped')
            if not self.shown:
                console.tell_progress(self.log, self.max_epochs)

        with self._open_log() as log:
            print(f'$ {shlex.join(command)}', file=log or console.stream, flush=True)
            code = run_command(command, log, environment, watch)
        missing = [str(path) for path in self.outputs if not path.exists()]
        if code != 0 or missing:
            raise StepFailedError(self._failure(command, code, missing))

    def _open_log(self):
        if self.shown:
            return contextlib.nullcontext()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        return open(self.log, 'a')

    def _failure(self, command, code, missing):
        reason = f'exit code {code}' if code != 0 else f'it did not write {", ".join(missing)}'
        end = ''.join(f'\n    {line}' for line in tail(self.log)[-FAILED_LOG_LINES:])
        return (
            f'step "{self.name}" failed ({reason}). {"See above." if self.shown else f"End of {self.log}:{end}"}\n'
            f'Run the step alone with:\n    {shlex.join(command)}\n'
            f'or start the whole again: finished steps are skipped.'
        )


def write_text(path: Path, text: str) -> None:
    """Write a file through a temporary name, so that a reader, or a crash, never meets half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + '.tmp')
    temporary.write_text(text)
    os.replace(temporary, path)
