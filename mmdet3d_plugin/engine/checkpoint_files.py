"""Checkpoint files on disk: they appear whole or not at all, and what a killed run left half-written is cleared."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Union

from ..datasets.infos.info_io import replace_when_done

# temporary names of `replace_when_done`: .<name>.<process id>.tmp
_TEMPORARY = re.compile(r'\..+\.pth\.(\d+)\.tmp')
_FULL = (errno.ENOSPC, errno.EDQUOT)
# what file systems without symbolic links answer
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


@contextmanager
def whole_file(path: Union[str, Path]) -> Iterator[Path]:
    """Yield a temporary path; what was written there is flushed to the disk and renamed to ``path``.

    Raises:
        OSError: The disk is full or broken. The message names the file and says how much space is left; nothing of the
            file is kept, and an older one of the same name is untouched.
    """
    path = Path(path)
    try:
        with replace_when_done(path) as temporary:
            yield temporary
            _flush(temporary)
        _flush(path.parent)
    except OSError as error:
        raise OSError(
            error.errno,
            f'cannot write checkpoint {path}: {error.strerror or error}. Nothing of it is kept and earlier checkpoints '
            f'are untouched. {_way_out(error, path.parent)}then run the command again with --auto-resume',
        ) from error


def _way_out(error, folder):
    if error.errno not in _FULL or not folder.is_dir():
        return 'Mend that, '
    free = shutil.disk_usage(folder).free / 1e9
    return (
        f'{folder} has {free:.2f} GB free: make room (checkpoint_config.max_keep_ckpts=<n> keeps fewer checkpoints), '
    )


def _flush(path):
    """Wait until a file or folder is on the disk, so that a power cut does not leave a renamed but empty file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def point_latest(folder: Union[str, Path], name: str) -> None:
    """Let ``latest.pth`` in a folder be the file ``name`` in it: a link, or a copy where links are not possible."""
    folder = Path(folder)
    with replace_when_done(folder / 'latest.pth') as temporary:
        temporary.unlink(missing_ok=True)
        try:
            os.symlink(name, temporary)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            shutil.copyfile(folder / name, temporary)
            _flush(temporary)


def remove_leftovers(folder: Union[str, Path]) -> None:
    """Delete the half-written checkpoints of processes that are gone."""
    for path in Path(folder).glob('.*.tmp'):
        match = _TEMPORARY.fullmatch(path.name)
        if match and not _is_other_process(int(match[1])):
            path.unlink(missing_ok=True)


def _is_other_process(number):
    """Whether another process of this number runs; ours has written nothing yet, so its number is a namesake's."""
    if number == os.getpid():
        return False
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
