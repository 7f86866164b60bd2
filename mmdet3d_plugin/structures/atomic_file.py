"""Files that appear under their name only when complete, and the removal of what killed runs left half-written.

A file is written under a temporary name beside its place and then renamed. While it is written, its process holds a
lock on it, which the system gives back however the process ends. A temporary file that nobody has locked is a leftover.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import platform
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

# .<name>.<host>-<first digits of the boot id>-<process, or letters of tempfile>.tmp
_TEMPORARY = re.compile(r'\.(?P<name>.+)\.(?P<host>[^.]+)-(?P<boot>[0-9a-f]{8})-\w+\.tmp')
_BOOT_ID = Path('/proc/sys/kernel/random/boot_id')


@dataclass
class Leftovers:
    """What :func:`remove_leftovers` found.

    Attributes:
        removed: Temporary files and folders of dead processes; they are gone.
        size: Bytes that these took.
        kept: Those of other machines, whose processes cannot be looked at from here.
    """

    removed: list[Path] = field(default_factory=list)
    size: int = 0
    kept: list[Path] = field(default_factory=list)

    def lines(self) -> list[str]:
        """One line for what was removed and one for what was kept; empty when nothing was found."""
        lines = []
        if self.removed:
            names = ', '.join(sorted(str(path) for path in self.removed[:3])) + ', ...' * (len(self.removed) > 3)
            lines.append(
                f'removed {len(self.removed)} unfinished file(s) of killed runs, {self.size / 1e6:.1f} MB: {names}'
            )
        if self.kept:
            names = ' '.join(sorted(str(path) for path in self.kept))
            lines.append(
                f'{len(self.kept)} unfinished file(s) are of runs on other machines. If these runs are over, delete '
                f'them: {names}'
            )
        return lines


@contextlib.contextmanager
def replace_when_done(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` on success, delete it on any error.

    A reader, or a run that was killed half-way, never sees an incomplete file. The temporary file is there, empty, from
    the start: write into it, do not put another file in its place. The first time that a process writes into a folder,
    what killed runs left there is removed.

    Args:
        path: File to write; missing folders are made.

    Raises:
        OSError: It cannot be written, as when the disk is full; names the file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _clean_once(path.parent.absolute())
    temporary = path.with_name(f'{_prefix(path.name)}{os.getpid()}.tmp')
    lock = _create_locked(temporary)
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        if error.filename is None:  # a full disk, for example, is reported without the file
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)
        os.close(lock)


@contextlib.contextmanager
def scratch_folder(parent: str | Path, name: str) -> Iterator[Path]:
    """Yield a new empty folder in ``parent`` and delete it in the end; the next run removes what a killed one left.

    Args:
        parent: An existing folder.
        name: What the files in it are for; part of the new folder's name.
    """
    _clean_once(Path(parent).absolute())
    folder, lock = _make_locked(_prefix(name), parent)
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def remove_leftovers(folder: str | Path, pattern: str = '*') -> Leftovers:
    """Delete what :func:`replace_when_done` and :func:`scratch_folder` left in a folder when their process was killed.

    What belongs to a living process stays. So does what another machine wrote (the folder may be on a network drive):
    it is listed.

    Args:
        folder: Where to look, not below; it need not exist.
        pattern: Final names to look for, as a shell pattern such as ``epoch_*.pth``.

    Returns:
        What was removed and what was kept.
    """
    found = Leftovers()
    for entry in os.scandir(folder) if os.path.isdir(folder) else ():
        match = _TEMPORARY.fullmatch(entry.name)
        if match is None or not fnmatchcase(match['name'], pattern):
            continue
        if not _of_this_machine(match['host'], match['boot']):
            found.kept.append(Path(entry.path))
            continue
        size = _remove_unlocked(entry)
        if size is not None:
            found.removed.append(Path(entry.path))
            found.size += size
    return found


@functools.cache
def _clean_once(folder):
    """Remove leftovers unless this process has already done so here: a folder of many files takes a while to list."""
    found = remove_leftovers(folder)
    if found.kept:
        warnings.warn(found.lines()[-1], RuntimeWarning, stacklevel=5)


@functools.cache
def _machine():
    """tuple[str, str]: Name of this machine, and 8 digits that are new each time it starts (zeros if unknown).

    Containers have names of their own but share the digits; after a restart the name is still the same.
    """
    host = re.sub(r'[^\w-]', '_', platform.node()) or 'unnamed'
    boot = _BOOT_ID.read_text()[:8] if _BOOT_ID.is_file() else '0' * 8
    return host, boot


def _of_this_machine(host, boot):
    own_host, own_boot = _machine()
    return host == own_host or (boot == own_boot and int(boot, 16) > 0)


def _prefix(name):
    host, boot = _machine()
    return f'.{name}.{host}-{boot}-'


def _create_locked(path):
    """Open file descriptor of a file that exists and that this process has locked."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        if _lock(handle, path):
            return handle


def _make_locked(prefix, parent):
    """Path of a new folder, and the open file descriptor of its lock."""
    while True:
        folder = tempfile.mkdtemp(prefix=prefix, suffix='.tmp', dir=parent)
        with contextlib.suppress(FileNotFoundError):
            handle = os.open(folder, os.O_RDONLY)
            if _lock(handle, folder):
                return folder, handle


def _lock(handle, path):
    """Whether what was opened is still under its name now that it is locked; closed if not.

    Between its creation and its lock, another process may have taken it for a leftover.
    """
    with contextlib.suppress(OSError):  # a file system without locks: leftovers stay there, nothing else is lost
        fcntl.flock(handle, fcntl.LOCK_EX)
    with contextlib.suppress(FileNotFoundError):
        if os.path.samestat(os.fstat(handle), os.stat(path)):
            return True
    os.close(handle)
    return False


def _remove_unlocked(entry):
    """Delete a temporary file or folder unless a process has it locked; returns its bytes, None when it stays."""
    folder = entry.is_dir(follow_symlinks=False)
    try:
        handle = os.open(entry.path, os.O_NOFOLLOW | (os.O_RDONLY if folder else os.O_RDWR))
    except OSError:  # gone in the meantime, or another user's
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        files = [path for path in Path(entry.path).rglob('*') if path.is_file()] if folder else [Path(entry.path)]
        size = sum(path.stat().st_size for path in files)
        shutil.rmtree(entry.path) if folder else os.unlink(entry.path)
        return size
    except OSError:  # locked by a living process, or not ours to delete
        return None
    finally:
        os.close(handle)
