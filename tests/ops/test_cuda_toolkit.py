"""Which toolkit and GPU architectures CUDA sources are compiled with, with toolkits and a torch that pretend."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from mmdet3d_plugin.ops import build_extension, cuda_toolkit

VARIABLES = ('CUDA_HOME', 'CUDA_PATH', 'TORCH_CUDA_ARCH_LIST', 'DUALDISTILL_DEVICE')


@pytest.fixture
def toolkit(tmp_path):
    """Function: release, architectures -> folder of a toolkit whose nvcc answers with them."""

    def make(release='13.0', numbers=(75, 80, 86, 90, 100, 120)):
        folder = tmp_path / f'cuda-{release}'
        nvcc = folder / 'bin' / 'nvcc'
        nvcc.parent.mkdir(parents=True)
        known = ' '.join(f'compute_{number}' for number in numbers)
        nvcc.write_text(
            '#!/bin/sh\ncase "$1" in\n'
            f'--version) echo "Cuda compilation tools, release {release}, V{release}.88" ;;\n'
            f'--list-gpu-arch) printf "%s\\n" {known} ;;\n'
            f'--dryrun) echo "#$ TOP={folder}/bin/.." >&2 ;;\n'
            'esac\n'
        )
        nvcc.chmod(0o755)
        (folder / 'include').mkdir()
        for name in cuda_toolkit._LIBRARY_HEADERS:
            (folder / 'include' / name).touch()
        return folder

    return make


@pytest.fixture(autouse=True)
def torch_without_gpu(monkeypatch, tmp_path):
    """A torch for CUDA 13 that sees no GPU; no toolkit either. Function: sets what its code is for."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    (tmp_path / 'empty').mkdir()
    monkeypatch.setenv('PATH', str(tmp_path / 'empty'))
    monkeypatch.setattr(cuda_toolkit, '_USUAL_PLACE', str(tmp_path / 'usual'))
    monkeypatch.setattr(cuda_toolkit.torch.version, 'cuda', '13.0')
    monkeypatch.setattr(cuda_toolkit.torch.cuda, 'device_count', lambda: 0)

    def flags(text):
        monkeypatch.setattr(cuda_toolkit.torch._C, '_cuda_getArchFlags', lambda: text, raising=False)

    flags('sm_75 sm_80 sm_86 sm_90 sm_90a sm_100 sm_120 compute_120')
    return flags


def test_without_a_gpu_torch_s_own_architectures_are_taken_in_the_order_of_their_numbers(toolkit, monkeypatch):
    home = toolkit()
    monkeypatch.setenv('CUDA_HOME', str(home))
    assert cuda_toolkit.settings() == {
        'CUDA_HOME': str(home),
        'TORCH_CUDA_ARCH_LIST': '7.5;8.0;8.6;9.0;10.0;12.0+PTX',
    }


def test_what_the_toolkit_does_not_know_is_left_out(toolkit, torch_without_gpu):
    torch_without_gpu('sm_70 sm_80 sm_90 sm_120')
    assert cuda_toolkit.architectures(toolkit(numbers=(80, 86, 90))) == '8.0;9.0+PTX'


def test_no_common_architecture_is_an_error_that_names_the_variable(toolkit, torch_without_gpu, monkeypatch):
    home = toolkit(numbers=(120,))
    torch_without_gpu('sm_50 sm_60')
    monkeypatch.setenv('CUDA_HOME', str(home))
    with pytest.raises(RuntimeError, match=f'{home} knows none of the architectures .* set TORCH_CUDA_ARCH_LIST'):
        cuda_toolkit.settings()
    monkeypatch.setenv('TORCH_CUDA_ARCH_LIST', '12.0')
    assert cuda_toolkit.settings()['TORCH_CUDA_ARCH_LIST'] == '12.0'


@pytest.mark.parametrize('wanted, expected', [('8.0;9.0', '8.0;9.0'), ('', None), ('native', None), (' ', None)])
def test_the_user_s_list_wins_unless_it_leaves_the_choice_to_the_gpus(toolkit, monkeypatch, wanted, expected):
    monkeypatch.setenv('TORCH_CUDA_ARCH_LIST', wanted)
    home = toolkit()
    assert cuda_toolkit.architectures(home) == (expected or '7.5;8.0;8.6;9.0;10.0;12.0+PTX')
    monkeypatch.setattr(cuda_toolkit.torch.cuda, 'device_count', lambda: 1)
    assert cuda_toolkit.architectures(home) == (expected or '')


def test_with_a_gpu_torch_asks_it(toolkit, monkeypatch):
    monkeypatch.setattr(cuda_toolkit.torch.cuda, 'device_count', lambda: 1)
    home = str(toolkit())
    monkeypatch.setenv('CUDA_HOME', home)
    assert cuda_toolkit.settings() == {'CUDA_HOME': home}


def test_an_nvcc_that_is_a_script_elsewhere_leads_to_its_toolkit(toolkit, monkeypatch, tmp_path):
    home, bin_folder = toolkit(), tmp_path / 'usr' / 'local' / 'bin'
    bin_folder.mkdir(parents=True)
    (bin_folder / 'nvcc').write_text(f'#!/bin/sh\nexec {home}/bin/nvcc "$@"\n')
    (bin_folder / 'nvcc').chmod(0o755)
    monkeypatch.setenv('PATH', str(bin_folder))
    assert cuda_toolkit.toolkit() == str(home)


def test_a_silent_nvcc_is_in_the_folder_its_link_leads_to(monkeypatch, tmp_path):
    nvcc = tmp_path / 'cuda' / 'bin' / 'nvcc'
    nvcc.parent.mkdir(parents=True)
    nvcc.write_text('#!/bin/sh\n')
    nvcc.chmod(0o755)
    (tmp_path / 'bin').mkdir()
    (tmp_path / 'bin' / 'nvcc').symlink_to(nvcc)
    monkeypatch.setenv('PATH', str(tmp_path / 'bin'))
    assert cuda_toolkit.toolkit() == str(tmp_path / 'cuda')


def test_the_usual_place_comes_last(toolkit, tmp_path, monkeypatch):
    assert cuda_toolkit.toolkit() is None
    shutil.move(toolkit(), tmp_path / 'usual')
    assert cuda_toolkit.toolkit() == str(tmp_path / 'usual')
    monkeypatch.setenv('CUDA_PATH', '/named')
    assert cuda_toolkit.toolkit() == '/named'


@pytest.mark.parametrize('before', ['', '/mine'])
def test_headers_that_a_small_toolkit_lacks_are_those_that_came_with_torch(toolkit, tmp_path, monkeypatch, before):
    home = toolkit()
    for name in ('cusparse.h', 'cusolverDn.h'):
        (home / 'include' / name).unlink()
    for file in ('cusparse/include/cusparse.h', 'cusolver/include/cusolverDn.h', 'cublas/include/cublas_v2.h'):
        (tmp_path / 'site' / 'nvidia' / file).parent.mkdir(parents=True)
        (tmp_path / 'site' / 'nvidia' / file).touch()
    monkeypatch.setattr(sys, 'path', [str(tmp_path / 'site')])
    for name in [name for name in sys.modules if name.split('.')[0] == 'nvidia']:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setenv('CUDA_HOME', str(home))
    monkeypatch.setenv('CPATH', before)
    packages = tmp_path / 'site' / 'nvidia'
    expected = [before, f'{packages}/cusolver/include', f'{packages}/cusparse/include']
    assert cuda_toolkit.settings()['CPATH'] == ':'.join(expected).lstrip(':')


def test_obstacles_are_named(toolkit, monkeypatch):
    monkeypatch.setenv('CXX', sys.executable)  # any program that is there
    assert build_extension.obstacle('cuda') == (
        'there is no CUDA toolkit: install one for CUDA 13.0 or set CUDA_HOME'
    )  # fmt: skip
    home = toolkit('12.6')
    monkeypatch.setenv('CUDA_HOME', str(home))
    assert build_extension.obstacle('cuda') == (
        f'the toolkit at {home} is not one for CUDA 13.0, which torch is built for'
    )  # fmt: skip
    monkeypatch.setenv('CUDA_HOME', str(toolkit('13.1')))
    assert build_extension.obstacle('cuda') is None
    monkeypatch.setenv('DUALDISTILL_DEVICE', 'cpu')
    assert build_extension.obstacle('cuda') == 'DUALDISTILL_DEVICE=cpu leaves CUDA out'
    assert build_extension.obstacle('cpp') is None
    monkeypatch.delenv('DUALDISTILL_DEVICE')
    monkeypatch.setattr(cuda_toolkit.torch.version, 'cuda', None)
    assert build_extension.obstacle('cuda') == 'this torch is built without CUDA'


def test_the_settings_are_said_and_reach_the_compilation(toolkit, monkeypatch, tmp_path, capsys):
    seen = {}
    from torch.utils import cpp_extension

    monkeypatch.setattr(cpp_extension, 'load', lambda *_, **__: seen.update(os.environ))
    home = str(toolkit())
    monkeypatch.setenv('CUDA_HOME', home)
    monkeypatch.setenv('TORCH_CUDA_ARCH_LIST', '')  # put back afterwards
    build_extension._compile('cuda', tmp_path)
    assert seen['TORCH_CUDA_ARCH_LIST'] == '7.5;8.0;8.6;9.0;10.0;12.0+PTX' and seen['CUDA_HOME'] == home
    assert (
        'GPU architectures: 7.5;8.0;8.6;9.0;10.0;12.0+PTX (TORCH_CUDA_ARCH_LIST names others)'
        in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    'script, words, message',
    [
        ('build_extension.py', ['cuda'], 'cuda operators are not compiled: DUALDISTILL_DEVICE=cpu leaves CUDA out'),
        ('cuda_toolkit.py', [], 'built without CUDA|is not one for CUDA'),
    ],
)
def test_as_scripts_they_need_torch_alone_and_say_what_is_in_the_way(repo_root, tmp_path, script, words, message):
    script = repo_root / 'mmdet3d_plugin' / 'ops' / script
    env = {**os.environ, 'DUALDISTILL_DEVICE': 'cpu', 'CUDA_HOME': str(tmp_path), 'CXX': sys.executable}
    done = subprocess.run([sys.executable, str(script), *words], cwd=tmp_path, env=env, capture_output=True, text=True)
    (line,) = (done.stdout + done.stderr).splitlines()
    assert done.returncode == 1 and re.search(message, line)
