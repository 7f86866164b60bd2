"""Checkpoint files: read without running code stored in them, every key accounted for; written in one go.

mmcv reads through here as well (resuming, ``load_from``, pretrained backbones), see :func:`register_mmcv_loaders`.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmcv.runner import CheckpointLoader, get_dist_info
from mmdet3d.utils import get_root_logger
from torch import Tensor, nn

from ..structures.atomic_file import replace_when_done
from .averages import use_averages
from .key_fit import compare_keys, describe_misfit, nothing_fits
from .weight_names import DISTILL, bare_names, find_weights

_trusted = ContextVar('checkpoints may run code', default=False)


@contextmanager
def trust_checkpoints(active: bool = True) -> Iterator[None]:
    """Inside the block checkpoint files are unpickled in full, which runs whatever code they name (``active``)."""
    token = _trusted.set(active)
    try:
        yield
    finally:
        _trusted.reset(token)


def file_sha256(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        for chunk in iter(lambda: file.read(1 << 20), b''):
            digest.update(chunk)
    return digest.hexdigest()


def _numpy_scalar_types():
    """What unpickling a numpy number needs; checkpoints keep scores as such in their meta."""
    # numpy 2 moved the function, so a file names the place its writer's numpy had
    places = [_numpy_scalar(f'numpy.{core}.multiarray') for core in ('core', '_core')]
    return [*places, np.dtype, *(type(np.dtype(code)) for code in ('f4', 'f8', 'i4', 'i8'))]


def _numpy_scalar(module):
    """The function that makes numpy numbers, as if it were in ``module``: torch 2.5 takes no other name for it."""
    make: Any = np.float64(0).__reduce__()[0]

    def scalar(*args):
        return make(*args)

    scalar.__module__, scalar.__qualname__ = module, 'scalar'
    return scalar


def load_content(path: str, map_location: torch.device | str | None = 'cpu') -> Any:
    """Everything in a checkpoint file; code in it is refused, not run, unless inside :func:`trust_checkpoints`.

    Args:
        path: file.
        map_location: as in :func:`torch.load`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file needs Python objects other than tensors, plain values and numpy numbers, or is damaged.
    """
    path = os.path.expanduser(path)
    if os.path.isdir(path):
        raise FileNotFoundError(f'checkpoint {path!r} is a folder: name the file in it')
    if not os.path.isfile(path):
        raise FileNotFoundError(f"checkpoint {path!r} not found (a teacher's is set by model.teacher.checkpoint)")
    with _refusals_explained(path):
        return torch.load(path, map_location=map_location, weights_only=not _trusted.get())


def peek(path: str) -> Any:
    """Everything in a checkpoint file, its tensors mapped instead of read: quick for meta and names. Runs no code.

    Returns:
        The content; None for a file with code, inside :func:`trust_checkpoints`.

    Raises:
        ValueError: as :func:`load_content`.
    """
    try:
        with _refusals_explained(path):
            return torch.load(path, map_location='cpu', mmap=True, weights_only=True)
    except ValueError as error:
        if _trusted.get() and '--trust-checkpoint' in str(error):
            return None
        raise


@contextmanager
def _refusals_explained(source):
    """Allow numpy numbers inside the block, and turn what torch raises into one ValueError about ``source``."""
    try:
        with torch.serialization.safe_globals(_numpy_scalar_types()):
            yield
    except Exception as error:  # torch raises UnpicklingError, RuntimeError or EOFError, by kind of damage
        start = f'checkpoint {source!r} cannot be read as plain weights: '
        code = re.search(r'GLOBAL (\S+)', str(error))
        if isinstance(error, pickle.UnpicklingError) and code:
            raise ValueError(
                f'{start}it names {code[1]}, and loading it would run code from the file. If you trust where the '
                f'file comes from, add --trust-checkpoint to the command.'
            ) from error
        raise ValueError(f'{start}{_reason(error)}') from error


def _reason(error):
    """The line of a torch error that says what is wrong, without its advice to load unsafely."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(('Weights only load failed', 'Please file an issue'))]
    return lines[0] if lines else type(error).__name__


def register_mmcv_loaders() -> None:
    """Let mmcv read local files and URLs as :func:`load_content` does.

    mmcv calls ``torch.load`` without ``weights_only``, and for URLs torch's default is to run what is in the file.
    """

    def load_from_local(filename, map_location=None):
        return load_content(filename, map_location)

    def load_from_http(filename, map_location=None):
        rank, world_size = get_dist_info()
        if rank > 0:
            torch.distributed.barrier()  # rank 0 downloads, the others find the file in torch's cache
        with _refusals_explained(filename):
            content = torch.hub.load_state_dict_from_url(
                filename, map_location=map_location, weights_only=not _trusted.get()
            )
        if rank == 0 and world_size > 1:
            torch.distributed.barrier()
        return content

    CheckpointLoader.register_scheme(prefixes='', loader=load_from_local, force=True)
    CheckpointLoader.register_scheme(prefixes=('http://', 'https://'), loader=load_from_http, force=True)


def read_weights(path: str) -> tuple[dict[str, Tensor], dict[str, Any], dict[str, Any]]:
    """Bare state dict, meta and all of a checkpoint file or URL; both sets of weights where an EMA hook wrote two.

    Raises:
        FileNotFoundError: no such file.
        ValueError: as :func:`load_content`, or the file holds no weights.
    """
    content = CheckpointLoader.load_checkpoint(path, map_location='cpu') if '://' in path else load_content(path)
    state = bare_names(find_weights(content, path), path)
    meta = content.get('meta')
    return state, meta if isinstance(meta, dict) else {}, content


def read_checkpoint(path: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """State dict and meta of a checkpoint file, or of a URL as mmcv takes it.

    Names are the detector's own, without what wrappers put before them. Of a file with the two sets of weights of an
    EMA hook the averaged ones are taken, and a log line says so.

    Raises:
        FileNotFoundError: no such file.
        ValueError: as :func:`load_content`, or the file holds no weights.
    """
    state, meta, _ = read_weights(path)
    return use_averages(state, meta, path, get_root_logger().info)


def write_checkpoint(path: str | Path, state: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Write a checkpoint of weights and meta alone, without optimizer, which needs no trust to be loaded.

    Args:
        path: file; folders above it are made, and it appears only when complete.
        state: name -> tensor; views are stored without the rest of the tensor they show.
        meta: plain values.
    """
    state = {key: value.detach().cpu().clone() for key, value in state.items()}
    with replace_when_done(path) as temporary:
        torch.save(dict(meta=meta, state_dict=state), temporary)


def load_strictly(module: nn.Module, state: Mapping[str, Tensor], path: str, config: str) -> None:
    """Load a state dict into a module; every key must match, by name and shape.

    What a distiller keeps beside its student is no matter to a module that is none.

    Raises:
        ValueError: names, per top-level module, the missing and unexpected keys and those of another shape.
    """
    fit = compare_keys(module, state)
    problems = describe_misfit(fit) if fit.found else nothing_fits(fit)
    if problems:
        raise ValueError(f'checkpoint {path!r} does not fit {config!r}: {problems}')
    if fit.aside:
        state = {name: value for name, value in state.items() if not name.startswith(DISTILL)}
    module.load_state_dict(state, strict=False)
