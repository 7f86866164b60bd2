"""The CUDA kernels of BEV pooling, run on the CPU lane by lane under the sanitizers, against plain torch in float64."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from helpers import cuda_emulator
from helpers.bev_pool_cases import CASES, LONGEST_SUM, WHOLE_SECTORS

from mmdet3d_plugin.ops import bev_pool

CSRC = Path(bev_pool.__file__).parent / 'csrc'
FORWARD, BACKWARD, SORT = (f'bev_pool_cuda_{kind}.cu' for kind in ('forward', 'backward', 'sort'))
DRIVER = cuda_emulator.EMULATOR / 'bev_pool_driver.cpp'
KINDS = ('forward', 'backward', 'sort')
TOLERANCES = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 1e-3, torch.bfloat16: 1e-2}


def _build(tmp_path_factory, **options):
    sources = [CSRC / name for name in (FORWARD, BACKWARD, SORT)]
    return cuda_emulator.build(tmp_path_factory.mktemp('emulated'), sources, DRIVER, **options)


def _run(program, cases, folder, order='ascending', kinds=KINDS):
    """{name: {kind: file of the result}}, and the ended process."""
    results, words = {}, []
    for name, case in cases.items():
        (folder / name).mkdir(exist_ok=True)
        files = case.write(folder / name)
        results[name] = {kind: folder / name / f'{kind}.{order}' for kind in kinds}
        words += [word for kind in kinds for word in (files[kind], results[name][kind])]
    return results, cuda_emulator.run(program, order, *words)


def _read(case, files):
    """{array: tensor} of the results of one case."""
    return {name: tensor for kind, path in files.items() for name, tensor in case.read(kind, path).items()}


def _check(case, found):
    """AssertionError where results differ from plain torch's by more than rounding."""
    for field in {'points', 'pixels', 'cell_starts'} & set(found):
        assert torch.equal(found[field], getattr(case.plan, field)), field
    for field in case.expected.keys() & set(found):
        if field == 'grad_depth' and not case.channels:
            continue  # no kernel runs, and the operator fills in zeros
        tolerance = TOLERANCES[found[field].dtype]
        torch.testing.assert_close(found[field].double(), case.expected[field], rtol=tolerance, atol=tolerance)


@pytest.fixture(scope='module')
def program(tmp_path_factory):
    return _build(tmp_path_factory)


@pytest.fixture(scope='module')
def results(program, tmp_path_factory):
    """{name: {kind: file}} of all cases; lanes ran in ascending and in descending order, with equal results."""
    folder, files = tmp_path_factory.mktemp('cases'), {}
    for order in ('ascending', 'descending'):
        files[order], done = _run(program, CASES, folder, order)
        assert done.returncode == 0, done.stderr[-4000:]
    for name, kinds in files['ascending'].items():
        for kind, path in kinds.items():
            other = files['descending'][name][kind]
            assert path.read_bytes() == other.read_bytes(), f'{name}: {kind} depends on the order of lanes'
    return files['ascending']


@pytest.mark.parametrize('name', CASES)
def test_equals_the_reference(name, results):
    _check(CASES[name], _read(CASES[name], results[name]))


def test_a_long_sum_is_as_accurate_as_its_kernel_says(program, tmp_path):
    files, done = _run(program, dict(long=LONGEST_SUM), tmp_path, kinds=('forward',))
    assert done.returncode == 0, done.stderr[-4000:]
    _check_long_sum(_read(LONGEST_SUM, files['long'])['out'])


def _check_long_sum(out):
    points = int(LONGEST_SUM.plan.cell_starts[-1])
    assert points == 45312
    error = (out.double() - LONGEST_SUM.expected['out']).abs()
    assert (error <= (256 + points / 256 + 5) * 2**-24 * LONGEST_SUM.sizes['out']).all()
    torch.testing.assert_close(out.double(), LONGEST_SUM.expected['out'], rtol=1e-5, atol=1e-5)


@pytest.fixture(scope='module')
def traced(tmp_path_factory):
    return _build(tmp_path_factory, flags=cuda_emulator.TRACED)


@pytest.mark.parametrize('name', WHOLE_SECTORS)
def test_warps_ask_for_no_sector_twice(name, traced, tmp_path):
    """Gathered rows aside: those are read once for each point (forward) or bin (backward), by whole rows."""
    case = WHOLE_SECTORS[name]
    _, done = _run(traced, {name: case}, tmp_path, kinds=('forward', 'backward'))
    assert done.returncode == 0, done.stderr[-4000:]
    counts = {tuple(line.split()[:2]): [int(n) for n in line.split()[2:]] for line in done.stdout.splitlines()}
    depth, context, out = case.inputs
    for buffer, of, bytes_a_request in (('out', out, 512), ('grad_context', context, 512)):
        requests, sectors, written = counts[buffer, 'write']
        assert written == of.nbytes and sectors * 32 == of.nbytes * (2 if _half_sectors(of) else 1)
        assert requests * bytes_a_request == of.nbytes
    for buffer, what in (('cells', 'read'), ('depth', 'read'), ('grad_depth', 'write'), ('context', 'read')):
        of = context if buffer == 'context' else depth  # cells are as many bytes as float depths
        requests, sectors, moved = counts[buffer, what]
        assert moved == of.nbytes and sectors * 32 == of.nbytes * (2 if _half_sectors(of) else 1)
        assert requests * 32 == of.numel()  # each lane asks for one value
    cells = case.plan.cell_starts.diff()
    assert counts['points', 'read'][0] == (-(-cells // 32)).sum()  # a warp's lanes read 32 of them together
    groups = 4 if name == 'half' else 2
    assert counts['rows', 'read'][0] == (-(-(cells % 32) // groups) + cells // 32 * (32 // groups)).sum()


def _half_sectors(tensor):
    """Eight values of a plane, which a block reads or writes, are half a sector."""
    return tensor.dtype == torch.float16


@dataclass(frozen=True)
class Mutant:
    """A mistake, the case that meets it, and what tells: words of the program, or None for wrong results."""

    source: str
    edits: tuple
    case: str
    words: str = None


MUTANTS = dict(
    one_row_too_many=Mutant(
        FORWARD, (('(threadIdx.y) < rows', '(threadIdx.y) <= rows'),), '33_channels', 'heap-buffer-overflow'
    ),
    missing_barrier=Mutant(FORWARD, (('__syncthreads();\n    const int channels', 'const int channels'),), 'half'),
    missing_barrier_backward=Mutant(
        BACKWARD, (('      __syncthreads();\n      follow_ray', '      follow_ray'),), '65_bins'
    ),
    divergent_shuffle=Mutant(
        FORWARD, (('turn < num; turn', 'turn + group < num; turn'),), 'half', 'emulator: .*divergent'
    ),
    int_indices=Mutant(FORWARD, (('int64_t block = begin', 'int block = begin'),), 'at_the_end', 'AddressSanitizer'),
    unchecked_alignment=Mutant(
        FORWARD, (('fits_vectors<kVector>(a.rows, a.channels)', 'a.channels % kVector == 0'),), 'misaligned',
        'misaligned address',
    ),
    cells_sorted_by_too_few_bits=Mutant(
        SORT, (('while (a.cells >> ', 'while (a.cells / 2 >> '),), '64_channels'
    ),
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize('name', MUTANTS)
def test_mistakes_are_found(name, tmp_path_factory, tmp_path):
    mutant = MUTANTS[name]
    program = _build(tmp_path_factory, edits={mutant.source: mutant.edits})
    case, right = CASES[mutant.case], 0
    for order in ('ascending', 'descending'):
        files, done = _run(program, {'it': case}, tmp_path, order)
        if mutant.words:
            assert done.returncode and re.search(mutant.words, done.stderr), done.stderr[-2000:]
            continue
        assert done.returncode == 0, done.stderr[-2000:]
        try:
            _check(case, _read(case, files['it']))
            right += 1
        except AssertionError:
            pass
    assert right < 2  # one order may hide that a barrier is missing


@pytest.mark.slow
def test_one_chain_of_additions_is_not_accurate_enough(tmp_path_factory, tmp_path):
    program = _build(tmp_path_factory, edits={FORWARD: (('kBlock = 256;', 'kBlock = int64_t{1} << 40;'),)})
    files, done = _run(program, dict(long=LONGEST_SUM), tmp_path, kinds=('forward',))
    assert done.returncode == 0
    with pytest.raises(AssertionError, match='not close'):
        torch.testing.assert_close(
            _read(LONGEST_SUM, files['long'])['out'].double(), LONGEST_SUM.expected['out'], rtol=1e-5, atol=1e-5
        )
