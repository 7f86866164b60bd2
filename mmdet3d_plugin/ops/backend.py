"""Which implementation of the operators runs: compiled C++ on CPUs, compiled CUDA on GPUs, plain torch elsewhere."""

import functools
import os
import warnings

from ..compat import constant_when_compiled
from .extension import ExtensionUnavailable, load_extension

ENVIRONMENT_VARIABLE = 'MMDET3D_PLUGIN_OPS'
BACKENDS = ('reference', 'cpp', 'cuda')
_COMPILED = {'cpu': 'cpp', 'cuda': 'cuda'}


@constant_when_compiled
def select_backend(device_type: str) -> str:
    """Back end for tensors of a device type ('cpu', 'cuda', ...); compiles it on first use where it has to.

    Returns:
        one of ``BACKENDS``, or 'meta' for tensors without data. 'reference' with one warning where no compiled
        back end is to be had.

    Raises:
        ValueError: ``MMDET3D_PLUGIN_OPS`` is set to something else than one of ``BACKENDS``.
        RuntimeError: ``MMDET3D_PLUGIN_OPS`` names a back end that cannot run here; says why.
    """
    return _select(device_type, os.environ.get(ENVIRONMENT_VARIABLE) or None)


@functools.cache
def _select(device_type, forced):
    if forced not in (None, *BACKENDS):
        raise ValueError(f'{ENVIRONMENT_VARIABLE}={forced}: choose one of {", ".join(BACKENDS)}, or unset it')
    if device_type == 'meta':
        return 'meta'
    compiled = _COMPILED.get(device_type, 'reference')
    if 'reference' in (forced, compiled) and forced in (None, 'reference'):
        return 'reference'
    if forced not in (None, compiled):
        raise RuntimeError(
            f'{ENVIRONMENT_VARIABLE}={forced} cannot work on {device_type} tensors: unset it, or choose '
            f'{compiled if compiled == "reference" else f"{compiled} or reference"}'
        )
    try:
        load_extension(compiled)
    except ExtensionUnavailable as error:
        if forced:
            raise RuntimeError(f'{ENVIRONMENT_VARIABLE}={forced}, but that back end cannot be had: {error}') from error
        warnings.warn(f'operators run in plain torch, several times slower, because {error}', stacklevel=4)
        return 'reference'
    return compiled
