"""Version gaps. What happens at import is tested in fresh interpreters."""

import os
import re
import subprocess
import sys
import sysconfig
import textwrap
import time

import numpy as np
import pytest
import torch
from helpers.cuda_emulator import require_compiler

from mmdet3d_plugin import compat


def run_python(code, tmp_path, *extra_paths):
    """Standard output and error of a fresh interpreter; ``extra_paths`` shadow installed packages."""
    paths = [*map(str, extra_paths), os.environ['PYTHONPATH']]
    done = subprocess.run(
        [sys.executable, '-W', 'always', '-c', textwrap.dedent(code)],
        capture_output=True,
        text=True,
        env=dict(os.environ, PYTHONPATH=os.pathsep.join(paths)),
        cwd=tmp_path,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


@pytest.fixture(autouse=True)
def at_repo_root(repo_root, monkeypatch):
    monkeypatch.chdir(repo_root)


def test_mmdet3d_imports_and_mmcv_keeps_its_version(tmp_path):
    out, err = run_python(
        """
        from importlib.metadata import version
        import mmdet3d_plugin, mmcv, mmdet3d
        print(mmcv.__version__ == version('mmcv-full'), mmdet3d.__version__)
        """,
        tmp_path,
    )
    assert out.split() == ['True', '1.0.0rc6']
    assert 'Import mmdet3d_plugin first' not in err


def test_mmdet3d_before_the_plugin_gets_advice_and_still_works(tmp_path):
    code = """
        try:
            import mmdet3d
        except AssertionError as error:
            print('refused')
        import mmdet3d_plugin
        import mmdet3d
        print(mmdet3d.__version__)
        """
    out, err = run_python(code, tmp_path)
    assert out.split() == ['refused', '1.0.0rc6']
    assert 'an earlier "import mmdet3d" failed' in err
    assert 'Import mmdet3d_plugin first' in err


def test_mmdet3d_imported_first_past_its_own_gate_gets_advice(tmp_path):
    code = """
        import sys, types
        for name in ('torchvision', 'torchvision.models'):
            sys.modules[name] = types.ModuleType(name)
            sys.modules[name].__path__ = []
        sys.modules['torchvision'].models = sys.modules['torchvision.models']
        import mmcv
        true, mmcv.__version__ = mmcv.__version__, '1.7.0'
        import numpy as np
        np.int = np.long = np.bool = np.float = int
        import mmdet3d
        mmcv.__version__ = true
        import mmdet3d_plugin
        """
    _, err = run_python(code, tmp_path)
    assert 'mmdet3d was imported before mmdet3d_plugin. Import mmdet3d_plugin first' in err


def test_torchvision_stands_in_only_when_it_cannot_be_imported(tmp_path):
    broken = tmp_path / 'broken' / 'torchvision'
    broken.mkdir(parents=True)
    (broken / '__init__.py').write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    out, err = run_python('import mmdet3d_plugin, torchvision; print(torchvision.__version__)', tmp_path, broken.parent)
    assert out.strip() == '0.0.0'
    assert 'torchvision cannot be imported (operator torchvision::nms does not exist)' in err

    absent = tmp_path / 'absent' / 'torchvision'
    absent.mkdir(parents=True)
    (absent / '__init__.py').write_text("raise ModuleNotFoundError('No module', name='torchvision')")
    out, err = run_python('import mmdet3d_plugin, torchvision; print(torchvision.__version__)', tmp_path, absent.parent)
    assert out.strip() == '0.0.0' and 'torchvision cannot' not in err  # nothing is wrong then

    working = tmp_path / 'working' / 'torchvision'
    (working / 'models').mkdir(parents=True)
    (working / '__init__.py').write_text("__version__ = '9.9'\nfrom . import models")
    (working / 'models' / '__init__.py').write_text('')
    out, err = run_python(
        'import mmdet3d_plugin, torchvision; print(torchvision.__version__)', tmp_path, working.parent
    )
    assert out.strip() == '9.9'
    assert 'stand-in' not in err


def test_warnings_nobody_can_act_on_are_left_out(tmp_path, monkeypatch):
    code = """
import os, mmdet3d_plugin, mmcv
from mmdet3d.utils import setup_multi_processes
setup_multi_processes(mmcv.Config(dict(data=dict(workers_per_gpu=2), mp_start_method='spawn')))
print(os.environ['MKL_NUM_THREADS'])"""
    for name in ('OMP_NUM_THREADS', 'MKL_NUM_THREADS'):
        monkeypatch.delenv(name, raising=False)
    plain, asked = (
        subprocess.run([sys.executable, *words, '-c', code], capture_output=True, text=True, cwd=tmp_path)
        for words in ([], ['-W', 'default'])
    )
    assert plain.stdout == asked.stdout == '1\n'
    # torch's own line about a CUDA toolkit on a machine without a GPU may stand there
    assert [line for line in plain.stderr.splitlines() if 'No CUDA runtime is found' not in line] == []
    assert 'MMCV will release v2.0.0' in asked.stderr and 'Setting MKL_NUM_THREADS' in asked.stderr


@pytest.mark.parametrize('version', ['2.4.1', '1.13.1+cu117', '2.5.0', '2.5.0a0+git1', '2.13.0+cpu', '3.0.0'])
def test_torch_that_is_too_old_is_one_clear_error(monkeypatch, version):
    monkeypatch.setattr(torch, '__version__', version)
    if version.startswith(('1.', '2.4')):
        with pytest.raises(ImportError, match=r'needs torch >= 2\.5, found ' + re.escape(version)) as error:
            compat.require_torch()
        assert '\n' not in str(error.value)
    else:
        compat.require_torch()


def test_numpy_aliases_are_the_builtins():
    assert (int, float, np.bool, object, np.long) == (int, float, bool, object, int)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_data_containers_reach_the_gpu():
    from mmcv.parallel import DataContainer, scatter

    (moved,) = scatter(dict(img=DataContainer([torch.ones(2, 3)], stack=True)), [0])
    assert moved['img'].device == torch.device('cuda', 0)
    assert moved['img'].tolist() == [[1.0] * 3] * 2


@pytest.mark.parametrize('cached', [True, False])
def test_a_pass_without_gradients_leaves_autocast_as_it_was(cached):
    weight = torch.nn.Parameter(torch.ones(2, 2))
    torch.set_autocast_cache_enabled(cached)
    try:
        with torch.autocast('cpu', torch.bfloat16):
            with compat.no_grad():
                assert not torch.is_autocast_cache_enabled()
                assert not (torch.ones(1, 2) @ weight).requires_grad
            assert torch.is_autocast_cache_enabled() == cached
            assert (torch.ones(1, 2) @ weight).requires_grad
            with pytest.raises(KeyError), compat.no_grad():
                raise KeyError
            assert torch.is_autocast_cache_enabled() == cached and torch.is_grad_enabled()
    finally:
        torch.set_autocast_cache_enabled(True)


def test_every_operator_namespace_is_one():
    """mmcv puts a function among them; torch 2.7 compiles nothing then."""
    for name in torch.ops:
        assert isinstance(getattr(torch.ops, name), torch._ops._OpNamespace), name


# Threads that Python does not know of enter and leave it, as torch's do when they drop what Python owns.
ENTERING_THREADS = """
#include <Python.h>
#include <thread>
extern "C" void enter(int threads, int times) {
  while (threads--)
    std::thread([=] { for (int i = 0; i < times; ++i) PyGILState_Release(PyGILState_Ensure()); }).detach();
}
"""

# Without the wait before a fork about one of two hundred such processes hangs, on a Python with the fault.
FORKS = """
import ctypes, os, sys, time
import mmdet3d_plugin
library = ctypes.CDLL(sys.argv[1])
for _ in range(300):
    library.enter(4, 500)
    child = os.fork()
    if not child:
        os._exit(0)
    end = time.monotonic() + 20
    while not os.waitpid(child, os.WNOHANG)[0]:
        if time.monotonic() > end:
            os.kill(child, 9)
            sys.exit('a forked process hangs')
        time.sleep(0.001)
"""


def test_every_forked_process_starts(tmp_path):
    library = tmp_path / 'threads.so'
    include = sysconfig.get_path('include')
    words = [*require_compiler(), '-x', 'c++', '-', '-shared', '-fPIC', '-pthread', f'-I{include}', '-o', str(library)]
    subprocess.run(words, input=ENTERING_THREADS, text=True, check=True)
    command = [sys.executable, '-W', 'ignore', '-c', FORKS, str(library)]
    for _ in range(2):  # the wait makes a hang rare, which on a busy machine is not never
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
        if done.returncode == 0:
            break
    assert done.returncode == 0, done.stderr
    assert compat.let_forked_processes_start.cache_info().misses == 1  # importing the package called it


@pytest.mark.parametrize(
    'version, waits',
    [((3, 9, 19), True), ((3, 10, 14), True), ((3, 11, 9), True),
     ((3, 9, 20), False), ((3, 10, 15), False), ((3, 11, 10), False), ((3, 12, 0), False)],
)  # fmt: skip
def test_a_fork_waits_for_the_interpreters_lock_on_pythons_with_the_fault(monkeypatch, version, waits):
    hooks, steps = [], []
    monkeypatch.setattr(os, 'register_at_fork', lambda before: hooks.append(before))
    monkeypatch.setattr(time, 'sleep', lambda seconds: steps.append(seconds))
    monkeypatch.setattr(sys, '_current_frames', lambda: steps.append('lock'))
    with monkeypatch.context() as patch:
        patch.setattr(sys, 'version_info', version)
        compat.let_forked_processes_start.__wrapped__()
    for hook in hooks:
        hook()
    assert steps == ([0.01, 'lock'] if waits else [])
