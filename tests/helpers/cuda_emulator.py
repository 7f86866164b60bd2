"""Compiles ``.cu`` files as C++ against the stand-ins of ``tests/cuda_emulator`` and runs them on the CPU."""

from __future__ import annotations

import functools
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

EMULATOR = Path(__file__).parents[1] / 'cuda_emulator'
SANITIZED = ('-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=all')
TRACED = ('-O0', '-fsanitize=thread')  # one access in the source stays one call of the tracer
KERNEL = ('-include', 'cuda_runtime_api.h')  # as nvcc does for every .cu file
_FLAGS = ('-std=c++17', '-g1', '-Wall', '-Werror', '-Wno-unknown-pragmas', '-fno-strict-aliasing')
_LAUNCH = re.compile(r'(\w+(?:<[^<>;]*>)?)\s*<<<(.*?)>>>\s*\(', re.S)


@functools.cache
def require_compiler() -> list[str]:
    """Words that call the C++ compiler; skips the test where there is none that has the sanitizers."""
    compiler = shlex.split(os.environ.get('CXX', 'c++'))
    if not shutil.which(compiler[0]):
        pytest.skip(f'there is no C++ compiler ({compiler[0]}): install g++ or set CXX')
    words = [*compiler, '-x', 'c++', '-', *SANITIZED, '-o', '/dev/null']
    if subprocess.run(words, input='int main() {}', capture_output=True, text=True).returncode:
        pytest.skip(f'{compiler[0]} cannot link with {SANITIZED[1]}: install libasan and libubsan')
    return compiler


def translated(folder: Path, source: Path, edits: Sequence[tuple[str, str]] = ()) -> Path:
    """Write the C++ of a ``.cu`` file: launches become calls; the text of each edit (old, new) must be there once."""
    text = source.read_text()
    for old, new in edits:
        assert text.count(old) == 1, f'{source.name} has {text.count(old)} times: {old}'
        text = text.replace(old, new)
    copy = folder / f'{source.stem}.cu.cpp'
    copy.write_text(f'#line 1 "{source}"\n' + _LAUNCH.sub(r'emulator::launch(\1, \2)(', text))
    return copy


def build(
    folder: Path,
    sources: Sequence[Path],
    driver: Path,
    flags: Sequence[str] = SANITIZED,
    edits: Mapping[str, Sequence[tuple[str, str]]] | None = None,
) -> Path:
    """Compile kernels and the driver that calls them.

    Args:
        folder: where the program is written; must be empty.
        sources: ``.cu`` files; their folders are searched for headers.
        driver: C++ file with ``main``.
        flags: ``SANITIZED``, or ``TRACED`` to count what warps ask of memory.
        edits: by name of a source, what is changed in it before (see :func:`translated`).

    Returns:
        the program.
    """
    tracer = EMULATOR / ('trace.cpp' if flags is TRACED else 'no_trace.cpp')
    units = [(path, ()) for path in (EMULATOR / 'emulator.cpp', tracer, driver)]
    units += [(translated(folder, source, (edits or {}).get(source.name, ())), (*KERNEL, *flags)) for source in sources]
    includes = [EMULATOR, EMULATOR / 'include', *{source.parent for source in sources}]
    objects = compile_all(folder, units, [f'-I{path}' for path in includes])
    program = folder / 'program'
    link(objects, program, *(SANITIZED[1:] if flags is SANITIZED else ()))
    return program


def compile_all(folder: Path, units: Iterable[tuple[Path, Sequence[str]]], flags: Sequence[str]) -> list[Path]:
    """Compile files side by side, each with flags of its own as well; returns the objects."""
    started = {
        folder / f'{path.stem}.o': subprocess.Popen(
            [*require_compiler(), *_FLAGS, *flags, *own, '-c', str(path), '-o', str(folder / f'{path.stem}.o')],
            stderr=subprocess.PIPE,
            text=True,
        )
        for path, own in units
    }
    errors = [process.communicate()[1] for process in started.values()]
    assert not any(process.returncode for process in started.values()), '\n'.join(errors)[-4000:]
    return list(started)


def link(objects: Iterable[Path], target: Path, *flags: str) -> None:
    """Link a program or a library."""
    subprocess.run([*require_compiler(), *map(str, objects), '-o', str(target), *flags], check=True)


def run(program: Path, *words: str | Path, timeout: float = 120) -> subprocess.CompletedProcess:
    """Run a program with the sanitizers' settings; returns what it printed and its code."""
    environment = {**os.environ, 'ASAN_OPTIONS': 'detect_leaks=1', 'UBSAN_OPTIONS': 'print_stacktrace=1'}
    return subprocess.run(
        [str(word) for word in (program, *words)], capture_output=True, text=True, timeout=timeout, env=environment
    )


def write_case(path: Path, *values: int | np.ndarray) -> None:
    """Numbers and arrays as ``case_file.h`` reads them."""
    with open(path, 'wb') as file:
        for value in values:
            if isinstance(value, np.ndarray):
                np.int64(value.nbytes).tofile(file)
                np.ascontiguousarray(value).tofile(file)
            else:
                np.int64(value).tofile(file)


def read_result(path: Path) -> list[bytes]:
    """The arrays that a driver wrote, as bytes."""
    data, arrays, at = path.read_bytes(), [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 8], 'little', signed=True)
        arrays.append(data[at + 8 : at + 8 + size])
        at += 8 + size
    return arrays
