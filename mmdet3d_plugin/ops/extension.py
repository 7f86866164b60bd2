"""Loads the compiled operator libraries, compiling them first where the installation did not."""

import subprocess
import sys

import torch

from . import build_extension


class ExtensionUnavailable(Exception):
    """A compiled library cannot be had here; the message says why and what to do."""


def load_extension(kind: str) -> None:
    """Load the library of one kind ('cpp' or 'cuda') into this process; later calls do nothing.

    Raises:
        ExtensionUnavailable: it is not there and cannot be compiled, or does not load.
    """
    path = build_extension.library_path(kind)
    if not path.is_file():
        _compile(kind)
    try:
        torch.ops.load_library(str(path))
    except OSError as error:
        raise ExtensionUnavailable(f'{path} does not load ({error}): delete it to have it compiled anew') from error


def _compile(kind):
    """In a process of its own: a compiler's crash or a half-loaded library stays outside this one."""
    reason = build_extension.obstacle(kind)
    if reason:
        raise ExtensionUnavailable(reason)
    print(f'compiling the {kind} operators, once (about a minute)', file=sys.stderr, flush=True)
    done = subprocess.run([sys.executable, build_extension.__file__, kind], capture_output=True, text=True)
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines()
        raise ExtensionUnavailable('compiling its kernels failed:\n' + '\n'.join(lines[-15:]))
