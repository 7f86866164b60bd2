"""Reading a detector's checkpoint: plain weights only, and every key accounted for."""

import hashlib
import os
from collections import defaultdict

import numpy as np
import torch

_SHOWN = 3


def file_sha256(path):
    """Hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        for chunk in iter(lambda: file.read(1 << 20), b''):
            digest.update(chunk)
    return digest.hexdigest()


def _numpy_scalar_types():
    """What unpickling a numpy number needs; checkpoints keep scores as such in their meta."""
    types = [np.dtype, np.float64(0).__reduce__()[0]]
    return types + [type(np.dtype(code)) for code in ('f4', 'f8', 'i4', 'i8')]


def read_checkpoint(path):
    """State dict and meta of a checkpoint file, without running any code stored in it.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file needs arbitrary Python objects, or holds no weights.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"checkpoint {path!r} not found (a teacher's is set by model.teacher.checkpoint)")
    try:
        with torch.serialization.safe_globals(_numpy_scalar_types()):
            content = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:  # torch raises UnpicklingError, RuntimeError or EOFError, by kind of damage
        reason = str(error).splitlines()[0]
        raise ValueError(f'checkpoint {path!r} cannot be read as plain weights: {reason}') from error
    state = content.get('state_dict', content) if isinstance(content, dict) else None
    if not state or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ValueError(f'checkpoint {path!r} holds no state_dict of tensors')
    state = {key[7:] if key.startswith('module.') else key: value for key, value in state.items()}
    return state, content.get('meta') or {}


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
    missing = [key for key in missing if key not in shapes and not key.endswith('num_batches_tracked')]
    problems = _describe('missing', missing) + _describe('unexpected', unexpected)
    problems += _describe('of another shape', shapes.values())
    if problems:
        raise ValueError(f'checkpoint {path!r} does not fit {config!r}: {"; ".join(problems)}')
