"""One step of a workflow: a subprocess with a log, a marker that remembers it finished, and a console line."""

import contextlib
import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from .console import Console
from .progress import clock, read_progress, tail

FAILED_LOG_LINES = 30


class StepFailedError(RuntimeError):
    """A step's command failed; the message holds the tail of its log and the command that runs it again."""


class StepStoppedError(RuntimeError):
    """A step was stopped from outside before its command ended."""


@dataclass(frozen=True)
class Step:
    """What to run and how to know it is done.

    Args:
        name (str): File-name-safe unique name.
        title (str): Shown on the console.
        command (tuple[str, ...]): Arguments, the program first; ``python`` means the running interpreter.
        marker (Path): JSON file written when the step has finished.
        log (Path): Receives stdout and stderr, appended to when the step resumes.
        outputs (tuple[Path, ...]): Files that must exist after (and for skipping) the step.
        settings (str): Text of everything that decides the outcome beside the command (a resolved config).
        after (tuple[Step, ...]): Steps whose outcome this one uses: when one changes, this one runs again.
        work_dir (Path | None): Folder of a resumable step. It is emptied when the step starts over.
        resume_flag (str | None): Appended when the same step was interrupted and ``work_dir`` exists.
        max_epochs (int | None): For the progress line of trainings.
    """

    name: str
    title: str
    command: tuple
    marker: Path
    log: Path
    outputs: tuple = ()
    settings: str = ''
    after: tuple = ()
    work_dir: Optional[Path] = None
    resume_flag: Optional[str] = None
    max_epochs: Optional[int] = None

    @property
    def fingerprint(self):
        """str: Hash of the command, the settings and every step this one depends on."""
        parts = [*self.command, self.settings, *(step.fingerprint for step in self.after)]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]

    def read_marker(self):
        """dict: The marker's content, empty when there is none or it belongs to other settings."""
        try:
            content = json.loads(self.marker.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return {}
        return content if content.get('fingerprint') == self.fingerprint else {}

    def write_marker(self, finished, seconds):
        """Write the marker atomically, so that a crash never leaves a half-written one."""
        content = {
            'name': self.name,
            'finished': finished,
            'seconds': round(seconds, 1),
            'command': shlex.join(self.command),
            'fingerprint': self.fingerprint,
        }
        self.marker.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.marker.with_suffix('.tmp')
        temporary.write_text(json.dumps(content, indent=2) + '\n')
        os.replace(temporary, self.marker)

    def is_done(self):
        """bool: True when the marker says finished with these settings and every output still exists."""
        return self.read_marker().get('finished', False) and all(path.exists() for path in self.outputs)

    def run(self, label='', stream=sys.stdout, live=True, environment=None, stop=None):
        """Run the step unless it is done.

        Args:
            label (str): Position shown before the title, such as ``[3/9]``.
            stream (file): Console.
            live (bool): One line that changes in place where the console is a terminal; else lines now and then.
            environment (dict[str, str] | None): Variables of the command beside those of this process.
            stop (threading.Event | None): Ends the command when it is set by another thread.

        Returns:
            float: Seconds the step took, interrupted earlier attempts included (from the marker when skipped).

        Raises:
            StepFailedError: The command returned non-zero or an output is missing.
            StepStoppedError: ``stop`` was set.
        """
        console = Console(f'{label} {self.title}'.strip(), stream, live and stream.isatty())
        previous = self.read_marker()
        if self.is_done():
            console.write(f'done before ({clock(previous["seconds"])}), skipped')
            return previous['seconds']
        command, spent = self._prepare(previous)
        console.start()
        start = time.monotonic()
        try:
            code = self._execute(command, dict(os.environ, PYTHONUNBUFFERED='1', **(environment or {})), stop, console)
        finally:
            seconds = spent + time.monotonic() - start
            self.write_marker(finished=False, seconds=seconds)
        missing = [str(path) for path in self.outputs if not path.exists()]
        if code != 0 or missing:
            raise StepFailedError(self._failure(command, code, missing))
        self.write_marker(finished=True, seconds=seconds)
        console.write(f'finished in {clock(seconds)}')
        return seconds

    def _prepare(self, previous):
        """Decide between resuming and starting over. Returns the command and the seconds spent on it before."""
        resumable = self.resume_flag is not None and previous and not previous['finished'] and self.work_dir.exists()
        if resumable:
            return (*self.command, self.resume_flag), previous['seconds']
        if self.work_dir is not None and self.work_dir.exists():
            if not self.marker.exists():
                raise StepFailedError(
                    f'step "{self.name}" would overwrite {self.work_dir}, which it did not make; '
                    f'move that folder away or choose another output folder'
                )
            shutil.rmtree(self.work_dir)
        self.log.unlink(missing_ok=True)
        self.write_marker(finished=False, seconds=0.0)
        return self.command, 0.0

    def _execute(self, command, environment, stop, console):
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log, 'a') as log:
            log.write(f'$ {shlex.join(command)}\n')
            log.flush()
            process = subprocess.Popen(
                [sys.executable, *command[1:]] if command[0] == 'python' else command,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
            try:
                self._watch(process, stop, console)
            except BaseException:
                _stop(process)
                raise
        return process.returncode

    def _watch(self, process, stop, console):
        """Poll the process, its log and ``stop``."""
        first_fraction = None
        while True:
            try:
                process.wait(timeout=0.5)
                return
            except subprocess.TimeoutExpired:
                pass
            if stop is not None and stop.is_set():
                raise StepStoppedError(f'step "{self.name}" was stopped')
            if not console.is_due():
                continue
            fraction, text = read_progress(tail(self.log), self.max_epochs)
            if first_fraction is None and fraction is not None:
                first_fraction = fraction if self.resume_flag in process.args else 0.0
            console.progress(fraction, text, first_fraction or 0.0)

    def _failure(self, command, code, missing):
        reason = f'exit code {code}' if code != 0 else f'it did not write {", ".join(missing)}'
        lines = '\n'.join(f'    {line}' for line in tail(self.log)[-FAILED_LOG_LINES:])
        return (
            f'step "{self.name}" failed ({reason}). End of {self.log}:\n{lines}\n'
            f'Run the step alone with:\n    {shlex.join(command)}\n'
            f'or start the whole again: finished steps are skipped.'
        )


def _stop(process):
    """Stop the process and the workers it started: first kindly, then for good."""
    for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(subprocess.TimeoutExpired, ProcessLookupError):
            os.killpg(process.pid, kind)
            process.wait(timeout=5)
            return
