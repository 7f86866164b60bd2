"""Folders that a tool writes to, looked at before its work starts."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping


def check_writable(folders: Mapping[str, str]) -> None:
    """Make the folders that a run writes to, and write a byte into each.

    Args:
        folders: Name of the flag or setting -> folder.

    Raises:
        ValueError: One cannot be made or written to; names the setting, the folder and the reason.
    """
    for name, folder in folders.items():
        try:
            os.makedirs(folder, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=folder, prefix='.writable') as probe:
                probe.write(b'.')
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise ValueError(
                f'{name} {folder}: cannot be written to ({reason}{_culprit(folder)}); name another folder'
            ) from error


def _culprit(folder):
    """The file that stands where a folder is wanted, in words."""
    path = os.path.abspath(folder)
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    return '' if os.path.isdir(path) else f': {path} is a file'
