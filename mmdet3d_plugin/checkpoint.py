"""Checkpoint files: read without running code stored in them, every key accounted for; written in one go.

mmcv reads through here as well (resuming, ``load_from``, pretrained backbones), see :func:`register_mmcv_loaders`.
"""

import hashlib
import os
import pickle
import re
from collections import defaultdict
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
import torch
from mmcv.runner import CheckpointLoader, get_dist_info

from .datasets.infos.info_io import replace_when_done

# counters of batch norm layers: files of old torch versions lack them, and nothing here depends on them
TRACKED = 'num_batches_tracked'
_SHOWN = 3
_trusted = ContextVar('checkpoints may run code', default=False)


@contextmanager
def trust_checkpoints(active=True):
    """Inside the block checkpoint files are unpickled in full, which runs whatever code they name (``active``)."""
    token = _trusted.set(active)
    try:
        yield
    finally:
        _trusted.reset(token)


def file_sha256(path):
    """Hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        for chunk in iter(lambda: file.read(1 << 20), b''):
            digest.update(chunk)
    return digest.hexdigest()


def _numpy_scalar_types():
    """What unpickling a numpy number needs; checkpoints keep scores as such in their meta."""
    scalar = np.float64(0).__reduce__()[0]
    # numpy 2 moved the function, so a file names the place its writer's numpy had
    places = [(scalar, f'numpy.{core}.multiarray.scalar') for core in ('core', '_core')]
    return [*places, np.dtype, *(type(np.dtype(code)) for code in ('f4', 'f8', 'i4', 'i8'))]


def load_content(path, map_location='cpu'):
    """Everything in a checkpoint file; code in it is refused, not run, unless inside :func:`trust_checkpoints`.

    Args:
        path (str): file.
        map_location: as in :func:`torch.load`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file needs Python objects other than tensors, plain values and numpy numbers, or is damaged.
    """
    path = os.path.expanduser(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"checkpoint {path!r} not found (a teacher's is set by model.teacher.checkpoint)")
    with _refusals_explained(path):
        return torch.load(path, map_location=map_location, weights_only=not _trusted.get())


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


def register_mmcv_loaders():
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


def read_checkpoint(path):
    """State dict and meta of a checkpoint file.

    Raises:
        FileNotFoundError: no such file.
        ValueError: as :func:`load_content`, or the file holds no weights.
    """
    content = load_content(path)
    state = content.get('state_dict', content) if isinstance(content, dict) else None
    if not state or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ValueError(f'checkpoint {path!r} holds no state_dict of tensors')
    state = {key[7:] if key.startswith('module.') else key: value for key, value in state.items()}
    return state, content.get('meta') or {}


def write_checkpoint(path, state, meta):
    """Write a checkpoint of weights and meta alone, without optimizer, which needs no trust to be loaded.

    Args:
        path (str | Path): file; folders above it are made, and it appears only when complete.
        state (dict): name -> tensor; views are stored without the rest of the tensor they show.
        meta (dict): plain values.
    """
    state = {key: value.detach().cpu().clone() for key, value in state.items()}
    with replace_when_done(path) as temporary:
        torch.save(dict(meta=meta, state_dict=state), temporary)


def _describe(kind, keys):
    """'pts_neck: 12 missing (a, b, c, ...)', one entry per top-level module."""
    modules = defaultdict(list)
    for key in keys:
        modules[key.split('.', 1)[0]].append(key)
    return [
        f'{module}: {len(names)} {kind} ({", ".join(names[:_SHOWN])}{", ..." if len(names) > _SHOWN else ""})'
        for module, names in modules.items()
    ]


def load_strictly(module, state, path, config):
    """Load a state dict into a module; every key must match, by name and shape.

    Raises:
        ValueError: names, per top-level module, the missing and unexpected keys and those of another shape.
    """
    own = module.state_dict()
    shapes = {
        key: f'{key}: {tuple(value.shape)} in the file, {tuple(own[key].shape)} in the model'
        for key, value in state.items()
        if key in own and own[key].shape != value.shape
    }
    fitting = {key: value for key, value in state.items() if key not in shapes}
    missing, unexpected = module.load_state_dict(fitting, strict=False)
    missing = [key for key in missing if key not in shapes and not key.endswith(TRACKED)]
    problems = _describe('missing', missing) + _describe('unexpected', unexpected)
    problems += _describe('of another shape', shapes.values())
    if problems:
        raise ValueError(f'checkpoint {path!r} does not fit {config!r}: {"; ".join(problems)}')
