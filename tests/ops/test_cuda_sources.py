"""The CUDA sources compile, for those of three GPU generations that the toolkit at hand still knows."""

import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from torch.utils.cpp_extension import include_paths

from mmdet3d_plugin.ops import bev_pool

CSRC = Path(bev_pool.__file__).parent / 'csrc'
ARCHITECTURES = ('70', '80', '90')


@pytest.fixture(scope='module')
def nvcc():
    path = shutil.which('nvcc')
    if path is None:
        pytest.skip('nvcc is not on the PATH')
    return path


def _run(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_kernels_compile(nvcc, tmp_path):
    known = _run(nvcc, '--list-gpu-arch').split()
    codes = [f'-gencode=arch=compute_{arch},code=sm_{arch}' for arch in ARCHITECTURES if f'compute_{arch}' in known]
    assert codes
    target = tmp_path / 'kernels.o'
    _run(
        nvcc,
        '-O1',
        '-std=c++17',
        '-Werror',
        'all-warnings',
        *codes,
        '-c',
        CSRC / 'bev_pool_cuda_kernels.cu',
        '-o',
        target,
    )
    assert target.stat().st_size > 0


def test_operators_compile_against_torch(nvcc, tmp_path):
    """torch's CPU wheel lacks one generated header; its CUDA wheel's says no more than the stand-in here."""
    includes = [Path(folder) for folder in include_paths()]
    generated = Path('c10/cuda/impl/cuda_cmake_macros.h')
    if not any((folder / generated).is_file() for folder in includes):
        (tmp_path / generated).parent.mkdir(parents=True)
        (tmp_path / generated).write_text('#pragma once\n#define C10_CUDA_BUILD_SHARED_LIBS\n')
    words = ['-std=c++20', f'-I{tmp_path}', *(f'-isystem={folder}' for folder in includes)]
    # nvcc hands the file to the host's compiler, with the toolkit's headers
    _run(
        nvcc, *words, '-Xcompiler=-Wall,-Werror,-fsyntax-only', '-c', CSRC / 'bev_pool_cuda.cpp', '-o', tmp_path / 'x.o'
    )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device')
def test_cuda_is_chosen_on_a_gpu(monkeypatch):
    monkeypatch.delenv('MMDET3D_PLUGIN_OPS', raising=False)
    assert bev_pool.select_backend('cuda') == 'cuda'
