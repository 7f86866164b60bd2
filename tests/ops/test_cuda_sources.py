"""The CUDA sources compile, for those of three GPU generations that the toolkit at hand still knows."""

import re
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


def _known(nvcc):
    known = _run(nvcc, '--list-gpu-arch').split()
    return [arch for arch in ARCHITECTURES if f'compute_{arch}' in known]


@pytest.mark.parametrize('kind', ['forward', 'backward', 'sort'])
def test_kernels_compile(kind, nvcc, tmp_path):
    # the radix sort is CUB's, which NVIDIA compiles for all, and takes its time
    architectures = _known(nvcc)[-1:] if kind == 'sort' else _known(nvcc)
    assert architectures
    codes = [f'-gencode=arch=compute_{arch},code=sm_{arch}' for arch in architectures]
    words = ('-O1', '-std=c++17', '-Werror', 'all-warnings')
    target = tmp_path / 'kernels.o'
    _run(nvcc, *words, *codes, '-c', CSRC / f'bev_pool_cuda_{kind}.cu', '-o', target)
    assert target.stat().st_size > 0


@pytest.mark.parametrize('kind', ['forward', 'backward'])
def test_rows_and_planes_move_16_bytes_at_a_time(kind, nvcc, tmp_path):
    target = tmp_path / 'kernels.ptx'
    arch = f'-arch=compute_{_known(nvcc)[-1]}'
    _run(nvcc, '-O3', '-std=c++17', arch, '-ptx', CSRC / f'bev_pool_cuda_{kind}.cu', '-o', target)
    for kernel in re.split(r'\.entry', target.read_text())[1:]:
        name = kernel.split('(')[0].strip()
        assert re.search(r'st\.global\.cg\.v4\.', kernel), f'{name} stores no vectors'
        if not re.search(r'Li1E', name):  # those for rows that are no whole number of vectors
            assert re.search(r'ld\.global(\.nc)?\.v[24]\.', kernel), f'{name} loads no vectors'


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
