"""Compiles ``.cu`` files as C++ against the stand-ins of ``tests/cuda_emulator`` and runs them on the CPU."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

EMULATOR = Path(__file__).parents[1] / 'cuda_emulator'
SANITIZED = ('-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=all')
TRACED = ('-O0', '-fsanitize=thread')  # one access in the source stays one call of the tracer
_FLAGS = ('-std=c++17', '-g1', '-Wall', '-Werror', '-Wno-unknown-pragmas')
_LAUNCH = re.compile(r'(\w+(?:<[^<>;]*>)?)\s*<<<(.*?)>>>\s*\(', re.S)


def require_compiler() -> list[str]:
    """Words that call the C++ compiler; skips the test where there is none that has the sanitizers."""
    compiler = shlex.split(os.environ.get('CXX', 'c++'))
    if not shutil.which(compiler[0]):
        pytest.skip(f'there is no C++ compiler ({compiler[0]}): install g++ or set CXX')
    words = [*compiler, '-x', 'c++', '-', *SANITIZED, '-o', '/dev/null']
    if subprocess.run(words, input='int main() {}', capture_output=True, text=True).returncode:
        pytest.skip(f'{compiler[0]} cannot link with {SANITIZED[1]}: install libasan and libubsan')
    return compiler


def translate(source: Path, edits: Sequence[tuple[str, str]] = ()) -> str:
    """The C++ of a ``.cu`` file: launches become calls; each edit (old, new) must meet its text exactly once."""
    text = source.read_text()
    for old, new in edits:
        assert text.count(old) == 1, f'{source.name} has {text.count(old)} times: {old}'
        text = text.replace(old, new)
    return f'#line 1 "{source}"\n' + _LAUNCH.sub(r'emulator::launch(\1, \2)(', text)


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
        edits: by name of a source, what is changed in it before (see :func:`translate`).

    Returns:
        the program.
    """
    compiler = require_compiler()
    includes = [f'-I{path}' for path in dict.fromkeys([EMULATOR, EMULATOR / 'include', *(s.parent for s in sources)])]
    tracer = EMULATOR / ('trace.cpp' if flags is TRACED else 'no_trace.cpp')
    units = [([], path) for path in (EMULATOR / 'emulator.cpp', tracer, driver)]
    for source in sources:
        copy = folder / f'{source.stem}.cpp'
        copy.write_text(translate(source, (edits or {}).get(source.name, ())))
        units.append((['-include', 'cuda_runtime_api.h', *flags], copy))
    processes = [
        subprocess.Popen(
            [*compiler, *_FLAGS, *includes, *extra, '-c', str(path), '-o', str(folder / f'{path.stem}.o')],
            stderr=subprocess.PIPE,
            text=True,
        )
        for extra, path in units
    ]
    errors = [process.communicate()[1] for process in processes]
    assert not any(process.returncode for process in processes), '\n'.join(errors)[-4000:]
    link = SANITIZED[1:] if flags is SANITIZED else ()
    program = folder / 'program'
    subprocess.run([*compiler, *link, *map(str, folder.glob('*.o')), '-o', str(program)], check=True)
    return program


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
