"""How the compiled operators come to be: built once, by one process, found again, and done without where impossible."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mmdet3d_plugin.ops import backend, build_extension
from mmdet3d_plugin.ops.extension import ExtensionUnavailable, load_extension


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """An empty folder for compiled libraries."""
    monkeypatch.setattr(build_extension, 'library_path', lambda kind: tmp_path / 'compiled' / f'{kind}.so')
    backend._select.cache_clear()
    yield tmp_path / 'compiled'
    backend._select.cache_clear()


def test_one_compiles_and_the_others_wait(elsewhere, monkeypatch):
    compiled = []

    def compile_slowly(kind, folder):
        compiled.append(folder)
        time.sleep(0.2)
        library = Path(folder) / 'new.so'
        library.write_text(kind)
        return library

    monkeypatch.setattr(build_extension, '_compile', compile_slowly)
    threads = [threading.Thread(target=build_extension.build, args=('cpp',)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(compiled) == 1 and (elsewhere / 'cpp.so').read_text() == 'cpp'
    assert sorted(path.name for path in elsewhere.iterdir()) == ['cpp.lock', 'cpp.so']


def test_a_failed_compilation_leaves_nothing_behind(elsewhere, monkeypatch, capsys):
    def fail(kind, folder):
        (Path(folder) / 'half.o').touch()
        raise RuntimeError('error: expected ;')

    monkeypatch.setattr(build_extension, '_compile', fail)
    assert build_extension.main(['cpp']) == 1
    assert 'cpp operators are not compiled: error: expected ;' in capsys.readouterr().out
    assert [path.name for path in elsewhere.iterdir()] == ['cpp.lock']


def test_what_a_killed_compilation_left_is_removed(elsewhere, monkeypatch):
    def die(kind, folder):
        (Path(folder) / 'half.o').touch()
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(build_extension, '_compile', die)
    process = multiprocessing.get_context('fork').Process(target=build_extension.build, args=('cpp',))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL and len(list(elsewhere.rglob('half.o'))) == 1

    def compile_well(kind, folder):
        (Path(folder) / 'new.so').write_text(kind)
        return Path(folder) / 'new.so'

    monkeypatch.setattr(build_extension, '_compile', compile_well)
    build_extension.build('cpp')
    assert sorted(path.name for path in elsewhere.iterdir()) == ['cpp.lock', 'cpp.so']


def test_a_change_of_source_or_torch_changes_the_name(monkeypatch):
    before = build_extension.library_path('cpp')
    assert before == build_extension.library_path('cpp') and before != build_extension.library_path('cuda')
    monkeypatch.setattr(build_extension.torch, '__version__', '99.0')
    assert build_extension.library_path('cpp') != before


def test_without_a_compiler_plain_torch_is_used_and_said_once(elsewhere, monkeypatch, recwarn):
    monkeypatch.setenv('CXX', 'no-such-compiler -O3')
    monkeypatch.delenv(backend.ENVIRONMENT_VARIABLE, raising=False)
    for _ in range(2):
        assert backend.select_backend('cpu') == 'reference'
    (warning,) = (str(item.message) for item in recwarn if not issubclass(item.category, ResourceWarning))
    assert 'plain torch' in warning and 'no C++ compiler (no-such-compiler -O3): install g++ or set CXX' in warning
    monkeypatch.setenv(backend.ENVIRONMENT_VARIABLE, 'cpp')
    with pytest.raises(RuntimeError, match='MMDET3D_PLUGIN_OPS=cpp, but that back end cannot be had: there is no C'):
        backend.select_backend('cpu')


def test_the_end_of_the_compilers_answer_is_passed_on(elsewhere, monkeypatch, tmp_path):
    script = tmp_path / 'script.py'
    script.write_text('print("the compiler says no")\nraise SystemExit(1)')
    monkeypatch.setattr(build_extension, '__file__', str(script))
    with pytest.raises(ExtensionUnavailable, match='failed:\nthe compiler says no'):
        load_extension('cpp')


def test_a_damaged_library_is_named(elsewhere):
    elsewhere.mkdir()
    (elsewhere / 'cpp.so').write_text('not a library')
    with pytest.raises(ExtensionUnavailable, match=r'cpp\.so does not load .* delete it'):
        load_extension('cpp')


@pytest.mark.parametrize(
    'forced, device, error, message',
    [
        ('fast', 'cpu', ValueError, 'MMDET3D_PLUGIN_OPS=fast: choose one of reference, cpp, cuda, or unset it'),
        ('cuda', 'cpu', RuntimeError, 'cannot work on cpu tensors: unset it, or choose cpp or reference'),
        ('cpp', 'cuda', RuntimeError, 'cannot work on cuda tensors: unset it, or choose cuda or reference'),
        ('cpp', 'xpu', RuntimeError, 'cannot work on xpu tensors: unset it, or choose reference'),
    ],
)
def test_impossible_choices_are_refused(monkeypatch, forced, device, error, message):
    monkeypatch.setenv(backend.ENVIRONMENT_VARIABLE, forced)
    with pytest.raises(error, match=message):
        backend.select_backend(device)


def test_plain_torch_can_be_forced_and_serves_other_devices(monkeypatch):
    monkeypatch.delenv(backend.ENVIRONMENT_VARIABLE, raising=False)
    assert backend.select_backend('xpu') == 'reference'
    monkeypatch.setenv(backend.ENVIRONMENT_VARIABLE, 'reference')
    assert backend.select_backend('cpu') == backend.select_backend('cuda') == 'reference'


def test_the_installation_compiles_for_its_own_torch(repo_root, tmp_path, cpp_operators):
    """pip's build isolation shows a build another environment through PYTHONPATH; here one whose torch is broken."""
    (tmp_path / 'torch.py').write_text('raise ImportError("a torch of the build environment")')
    done = subprocess.run(
        [sys.executable, 'setup.py', '-q', 'build_py', '--build-lib', str(tmp_path / 'lib')],
        cwd=repo_root,
        env={**os.environ, 'PYTHONPATH': str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    library = build_extension.library_path('cpp')
    assert f'cpp operators: {library}' in done.stderr
    assert 'cuda operators' in done.stderr
    assert (tmp_path / 'lib' / 'mmdet3d_plugin' / 'ops' / 'compiled' / library.name).is_file()


def test_an_installation_without_torch_or_compiler_succeeds(repo_root, tmp_path):
    done = subprocess.run(
        [sys.executable, 'setup.py', '-q', 'build_py', '--build-lib', str(tmp_path)],
        cwd=repo_root,
        env={**os.environ, 'CXX': 'no-such-compiler'},
        capture_output=True,
        text=True,
        check=True,
    )
    assert 'cpp operators are not compiled: there is no C++ compiler (no-such-compiler)' in done.stderr
