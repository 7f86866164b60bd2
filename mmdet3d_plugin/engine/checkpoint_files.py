"""Checkpoint files on disk: they appear whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..structures.atomic_file import replace_when_done

_FULL = (errno.ENOSPC, errno.EDQUOT)
# what file systems without symbolic links answer
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
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


def point_latest(folder: str | Path, name: str) -> None:
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
