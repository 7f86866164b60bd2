"""One set of versions: requirements, set-up script, Dockerfile, linter and setup.py agree."""

import ast
import os
import re
import subprocess
import sys

import pytest


@pytest.fixture
def text(repo_root):
    return lambda name: (repo_root / name).read_text()


def pins(content):
    return [line for line in content.splitlines() if line and not line.startswith('#')]


FILES = ['build', 'torch', 'torch_cuda12', 'runtime', 'mmcv', 'no_deps', 'tests', 'deploy', 'constraints']


def test_there_are_no_other_files(repo_root):
    assert sorted(path.stem for path in (repo_root / 'requirements').iterdir()) == sorted(FILES)


@pytest.mark.parametrize('name', FILES)
def test_every_requirement_is_pinned(text, name):
    for line in pins(text(f'requirements/{name}.txt')):
        assert re.fullmatch(r'[\w.-]+==[\w.]+(; python_version (>=|<) "3\.1[01]")?', line), line


@pytest.mark.parametrize('name', [name for name in FILES if name != 'torch'])
def test_the_dockerfile_repeats_and_installs_them(text, name):
    requirements = text(f'requirements/{name}.txt')
    heredoc = re.search(rf'^COPY <<"EOF" /opt/requirements/{name}\.txt\n(.*?)^EOF$', text('Dockerfile'), re.M | re.S)
    assert heredoc, f'Dockerfile does not write {name}.txt'
    assert heredoc.group(1) == requirements
    assert re.search(rf'^(RUN| ) .*pip install .*-[rc] /opt/requirements/{name}\.txt', text('Dockerfile'), re.M)


def test_a_package_is_pinned_once_per_python(text):
    names = []
    for name in FILES:
        if name == 'torch_cuda12':  # instead of torch.txt
            continue
        for line in pins(text(f'requirements/{name}.txt')):
            names.append((line.split('==')[0].lower(), line.partition(';')[2]))
    assert len(names) == len(set(names))


def test_no_tool_has_a_second_copy_of_a_pin(text):
    """Nor the version of torch or mmcv-full: both are read from requirements/."""
    dockerfile = re.sub(r'^COPY <<"EOF".*?^EOF$', '', text('Dockerfile'), flags=re.M | re.S)
    for script in (dockerfile, text('scripts/setup.sh'), text('scripts/setup_mmcv.sh')):
        assert not re.search(r'[\w-]+==\d', script)
        for name in ('torch', 'mmcv'):
            for line in pins(text(f'requirements/{name}.txt')):
                assert re.search(r'==([\w.]+)', line).group(1) not in script


def test_dockerfile_and_setup_build_mmcv_in_the_same_way(text):
    for setting in ('CFLAGS="-g0 -O2 -w"', 'MMCV_WITH_OPS=1', 'ATen/cuda/Atomic.cuh', '--no-binary mmcv-full'):
        assert setting in text('scripts/setup_mmcv.sh') and setting in text('Dockerfile')


def test_the_tested_pairs_are_what_is_installed_somewhere(text):
    """The default pairs of the matrix: every Python, the pins of set-up, and the Docker image's pair."""
    (pairs,) = re.findall(r'^PAIRS = (.*)$', text('tools/matrix/pairs.py'), re.M)
    pairs = dict(pair.split('+') for pair in ast.literal_eval(pairs))
    assert list(pairs) == ['3.9', '3.10', '3.11', '3.12']
    newest, oldest = (
        re.search(rf'torch==(\S+); python_version {sign} "3\.10"', text('requirements/torch.txt')).group(1)
        for sign in ('>=', '<')
    )
    assert (pairs['3.9'], pairs['3.11'], pairs['3.12']) == (oldest, newest, newest)
    (python,) = re.findall(r'^RUN python(3\.\d+) -m venv', text('Dockerfile'), re.M)
    assert pins(text('requirements/torch_cuda12.txt')) == [f'torch=={pairs[python]}']
    # the interpreter comes with that Ubuntu, and the wheel on PyPI is for the image's CUDA
    assert re.search(r'^FROM nvidia/cuda:12\.6\.\d+-cudnn-devel-ubuntu22\.04$', text('Dockerfile'), re.M)
    assert python == '3.10'


def test_dockerfile_needs_no_build_context(text):
    copies = [line for line in text('Dockerfile').splitlines() if re.match(r'\s*(COPY|ADD)\b', line)]
    assert copies and all('<<"EOF"' in line for line in copies)


def test_one_ruff_version_and_one_line_length(text):
    (pinned,) = re.findall(r'^ruff==(\S+)$', text('requirements/tests.txt'), re.M)
    assert f'ruff-pre-commit\n    rev: v{pinned}\n' in text('.pre-commit-config.yaml')


def test_setup_names_the_package_and_finds_every_folder(repo_root, text):
    answer = subprocess.run(
        [sys.executable, 'setup.py', '-q', '--name', '--version'],
        cwd=repo_root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert answer[-2] == 'dualdistill'
    assert f"__version__ = '{answer[-1]}'" in text('mmdet3d_plugin/__init__.py')
    for folder, _, names in os.walk(repo_root / 'mmdet3d_plugin'):
        if any(name.endswith('.py') for name in names):
            assert '__init__.py' in names, f'{folder} is not a package: it would not be installed'
