"""What CUDA sources are compiled with and for. Needs torch only; as a script it prints variables for a compilation.

torch finds the toolkit and the GPU architectures by itself on most machines, but not on a login or build node: without
a GPU to ask it fails with ``IndexError: list index out of range``, and an ``nvcc`` on the PATH that is a script or lies
apart from the toolkit leads it to a folder without headers. :func:`settings` gives the values it then needs.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import torch

_USUAL_PLACE = '/usr/local/cuda'
_LIBRARY_HEADERS = ('cublas_v2.h', 'cusolverDn.h', 'cusparse.h')  # of those that ATen/cuda/CUDAContext.h includes


def settings() -> dict[str, str]:
    """Environment variables with which torch compiles CUDA sources here.

    Returns:
        ``CUDA_HOME``; ``TORCH_CUDA_ARCH_LIST`` unless torch can ask the GPUs; ``CPATH`` where the
        toolkit lacks headers that came with torch.

    Raises:
        RuntimeError: CUDA sources cannot be compiled here; the message says why and what to do.
    """
    home = toolkit()
    if torch.version.cuda is None:
        raise RuntimeError('this torch is built without CUDA')
    if home is None:
        raise RuntimeError(f'there is no CUDA toolkit: install one for CUDA {torch.version.cuda} or set CUDA_HOME')
    release = re.search(r'release (\d+)\.', _nvcc(home, '--version'))
    if not release or release.group(1) != torch.version.cuda.split('.')[0]:
        raise RuntimeError(f'the toolkit at {home} is not one for CUDA {torch.version.cuda}, which torch is built for')
    found = {'CUDA_HOME': home, 'TORCH_CUDA_ARCH_LIST': architectures(home), 'CPATH': ':'.join(_headers_of_torch(home))}
    if found['CPATH'] and os.environ.get('CPATH'):
        found['CPATH'] = f'{os.environ["CPATH"]}:{found["CPATH"]}'
    return {name: value for name, value in found.items() if value}


def toolkit() -> str | None:
    """Folder of the CUDA toolkit: the one that the user names, that of the ``nvcc`` on the PATH, or the usual place.

    Returns:
        ``<folder>/bin/nvcc`` is the compiler; None when there is none.
    """
    named = os.environ.get('CUDA_HOME') or os.environ.get('CUDA_PATH')
    if named:
        return named
    nvcc = shutil.which('nvcc')
    if nvcc:
        # nvcc knows where it lies, also when what the PATH holds is a script that calls it
        answer = subprocess.run([nvcc, '--dryrun', 'any.cu'], capture_output=True, text=True).stderr
        top = re.search(r'^#\$ TOP=(.+)$', answer, re.M)
        return os.path.realpath(top.group(1) if top else Path(nvcc).resolve().parents[1])
    return _USUAL_PLACE if os.access(f'{_USUAL_PLACE}/bin/nvcc', os.X_OK) else None


def architectures(home: str) -> str:
    """The GPU architectures to compile for, as ``TORCH_CUDA_ARCH_LIST`` wants them.

    Args:
        home: Folder of the toolkit.

    Returns:
        The user's list. Without one: empty where torch sees GPUs, and asks them; else what torch itself is
        compiled for, as far as the toolkit knows it, such as '8.0;9.0+PTX'.

    Raises:
        RuntimeError: No architecture fits both torch and the toolkit.
    """
    wanted = os.environ.get('TORCH_CUDA_ARCH_LIST', '').strip()
    if wanted and wanted != 'native':
        return wanted
    if torch.cuda.device_count() > 0:
        return ''
    # torch.cuda.get_arch_list() is empty without a GPU in some versions; sm_90a and the like are for one GPU alone
    of_torch = sorted(int(number) for number in re.findall(r'\bsm_(\d+)\b', torch._C._cuda_getArchFlags() or ''))
    known = [int(number) for number in re.findall(r'\bcompute_(\d+)\b', _nvcc(home, '--list-gpu-arch'))]
    common = [f'{number // 10}.{number % 10}' for number in of_torch if number in known]
    if not common:
        raise RuntimeError(
            f'no GPU is seen, and the toolkit at {home} knows none of the architectures that torch is built for: '
            f'set TORCH_CUDA_ARCH_LIST (for example 8.0;9.0)'
        )
    return ';'.join(common) + '+PTX'  # and code that the driver of a newer GPU translates


def _headers_of_torch(home):
    """list[str]: Folders with headers that torch's own include; empty unless the toolkit is a compiler and little else.

    torch's wheels for CUDA bring the libraries of the toolkit, headers included, as packages below ``nvidia``.
    """
    missing = [name for name in _LIBRARY_HEADERS if not Path(home, 'include', name).is_file()]
    packages = importlib.util.find_spec('nvidia') if missing else None
    folders = [Path(folder) for folder in (packages.submodule_search_locations or ())] if packages else []
    found = {str(file.parent) for folder in folders for name in missing for file in folder.glob(f'*/include/{name}')}
    return sorted(found)


def _nvcc(home, flag):
    """str: nvcc's answer, empty when it cannot be run."""
    try:
        return subprocess.run([f'{home}/bin/nvcc', flag], capture_output=True, text=True).stdout
    except OSError:
        return ''


if __name__ == '__main__':
    try:
        print('\n'.join(f'{name}={value}' for name, value in settings().items()))
    except RuntimeError as error:
        sys.exit(str(error))
