"""The CUDA kernels of BEV pooling, run on the CPU lane by lane under the sanitizers, against plain torch in float64."""

from pathlib import Path

import pytest
import torch
from helpers import cuda_emulator
from helpers.bev_pool_cases import CASES, ONE_CELL, PoolCase

from mmdet3d_plugin.ops import bev_pool

CSRC = Path(bev_pool.__file__).parent / 'csrc'
SOURCES = [CSRC / f'bev_pool_cuda_{kind}.cu' for kind in ('forward', 'backward', 'sort')]
DRIVER = cuda_emulator.EMULATOR / 'bev_pool_driver.cpp'
TOLERANCES = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 1e-3, torch.bfloat16: 1e-2}


def _run(program, cases, folder, order, kinds=('forward', 'backward', 'sort')):
    """{name: {kind: file of the result}} and what the program printed."""
    results, words = {}, []
    for name, case in cases.items():
        (folder / name).mkdir(exist_ok=True)
        files = case.write(folder / name)
        results[name] = {kind: folder / name / f'{kind}.{order}' for kind in kinds}
        words += [word for kind in kinds for word in (files[kind], results[name][kind])]
    return results, cuda_emulator.run(program, order, *words)


@pytest.fixture(scope='module')
def program(tmp_path_factory):
    return cuda_emulator.build(tmp_path_factory.mktemp('emulated'), SOURCES, DRIVER)


@pytest.fixture(scope='module')
def results(program, tmp_path_factory):
    """Function: name -> {array: tensor}, after lanes ran in ascending and in descending order, with equal results."""
    folder = tmp_path_factory.mktemp('cases')
    files = {}
    for order in ('ascending', 'descending'):
        files[order], done = _run(program, CASES, folder, order)
        assert done.returncode == 0, done.stderr[-4000:]

    def read(name):
        found = {}
        for kind, path in files['ascending'][name].items():
            assert path.read_bytes() == files['descending'][name][kind].read_bytes(), f'{kind} depends on the order'
            found.update(CASES[name].read(kind, path))
        return found

    return read


@pytest.mark.parametrize('name', CASES)
def test_equals_the_reference(name, results):
    case, found = CASES[name], results(name)
    for field in ('points', 'pixels', 'cell_starts'):
        assert torch.equal(found[field], getattr(case.plan, field)), field
    for field, expected in case.expected.items():
        got = found[field]
        if field == 'grad_depth' and not case.channels:
            continue  # no kernel runs and the operator fills in zeros
        tolerance = TOLERANCES[got.dtype]
        torch.testing.assert_close(got.double(), expected, rtol=tolerance, atol=tolerance)
