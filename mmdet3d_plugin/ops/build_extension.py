"""Compiles the operator libraries. Needs torch only, and also runs as a script: ``python build_extension.py cpp cuda``.

A library lies beside this file in ``compiled/`` under a name that holds a hash of everything it depends on, so that a
change of source or of torch never meets an old library, and environments that share a checkout do not disturb each
other. It is written elsewhere and renamed; a lock lets one process compile while others wait.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import torch

try:
    from . import cuda_toolkit
except ImportError:  # run as a script
    import cuda_toolkit  # type: ignore[no-redef]

_FOLDER = Path(__file__).resolve().parent
_BEV_POOL = _FOLDER / 'bev_pool' / 'csrc'
_SPARSE_CONV = _FOLDER / 'sparse_conv' / 'csrc'
_SOURCES = {
    'cpp': (
        _FOLDER / 'csrc' / 'cpu_dispatch.h',
        _BEV_POOL / 'bev_pool_cpu.cpp',
        _BEV_POOL / 'bev_pool_cpu_kernels.h',
        _BEV_POOL / 'bev_pool_common.h',
        _SPARSE_CONV / 'sparse_conv_cpu.cpp',
        _SPARSE_CONV / 'sparse_conv_cpu_kernels.h',
        _SPARSE_CONV / 'sparse_rulebook_cpu.cpp',
    ),
    'cuda': (
        _BEV_POOL / 'bev_pool_cuda.cpp',
        _BEV_POOL / 'bev_pool_cuda_backward.cu',
        _BEV_POOL / 'bev_pool_cuda_device.h',
        _BEV_POOL / 'bev_pool_cuda_forward.cu',
        _BEV_POOL / 'bev_pool_cuda_kernels.h',
        _BEV_POOL / 'bev_pool_cuda_sort.cu',
        _BEV_POOL / 'bev_pool_common.h',
    ),
}
_FLAGS = ['-O3', '-g0', '-fopenmp']
_CUDA_FLAGS = ['-O3']


def library_path(kind: str) -> Path:
    """Where the library of one kind ('cpp' or 'cuda') is, or will be, for this torch and these sources."""
    parts = [torch.__version__, str(torch.version.cuda), platform.machine(), *_FLAGS, *_CUDA_FLAGS]
    digest = hashlib.sha256('\n'.join(parts).encode())
    for source in _SOURCES[kind]:
        digest.update(source.read_bytes())
    return _FOLDER / 'compiled' / f'dualdistill_{kind}_{digest.hexdigest()[:16]}.so'


def obstacle(kind: str) -> str | None:
    """Why a library cannot be compiled here, with what to do about it; None when nothing is in the way."""
    compiler = os.environ.get('CXX', 'c++')
    if not shutil.which(shlex.split(compiler)[0]):
        return f'there is no C++ compiler ({compiler}): install g++ or set CXX'
    return _cuda_obstacle() if kind == 'cuda' else None


def _cuda_obstacle():
    if os.environ.get('DUALDISTILL_DEVICE') == 'cpu':
        return 'DUALDISTILL_DEVICE=cpu leaves CUDA out'
    try:
        cuda_toolkit.settings()
    except RuntimeError as error:
        return str(error)
    return None


def build(kind: str) -> Path:
    """Compile the library of one kind unless it is there.

    Returns:
        the library.

    Raises:
        RuntimeError: the compiler's answer.
    """
    path = library_path(kind)
    path.parent.mkdir(exist_ok=True)
    with open(path.with_suffix('.lock'), 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # given back when this process ends, however it does
        if not path.is_file():
            for leftover in path.parent.glob(f'{path.stem}.tmp*'):  # of a killed process: the lock is ours
                shutil.rmtree(leftover)
            with tempfile.TemporaryDirectory(prefix=f'{path.stem}.tmp', dir=path.parent) as folder:
                os.replace(_compile(kind, folder), path)
    return path


def _compile(kind, folder):
    if kind == 'cuda':
        _set_up_cuda()
    from torch.utils.cpp_extension import load  # reads CUDA_HOME

    # ninja, which torch calls by name, lies beside the interpreter of an environment that nobody activated
    os.environ['PATH'] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get('PATH', os.defpath)])
    name = f'dualdistill_{kind}'
    load(
        name,
        [str(source) for source in _SOURCES[kind] if source.suffix != '.h'],
        extra_cflags=_FLAGS,
        extra_cuda_cflags=_CUDA_FLAGS,
        build_directory=folder,
        with_cuda=kind == 'cuda',
        is_python_module=False,
    )
    return Path(folder) / f'{name}.so'


def _set_up_cuda():
    settings = cuda_toolkit.settings()
    os.environ.update(settings)
    if 'TORCH_CUDA_ARCH_LIST' in settings:
        print(f'GPU architectures: {settings["TORCH_CUDA_ARCH_LIST"]} (TORCH_CUDA_ARCH_LIST names others)', flush=True)


def main(kinds: Iterable[str]) -> int:
    """Build each kind and say how it went; returns the number of failures."""
    failures = 0
    for kind in kinds:
        reason = obstacle(kind)
        if reason:
            print(f'{kind} operators are not compiled: {reason}')
            failures += 1
            continue
        try:
            print(f'{kind} operators: {build(kind)}')
        except (OSError, RuntimeError) as error:
            print(f'{kind} operators are not compiled: {error}')
            failures += 1
    return failures


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:] or _SOURCES))
