"""One set of versions: requirements, set-up script, Dockerfile, linter and setup.py agree."""

import re
import subprocess
import sys

import pytest


@pytest.fixture
def text(repo_root):
    return lambda name: (repo_root / name).read_text()


def pins(content):
    return [line for line in content.splitlines() if line and not line.startswith('#')]


@pytest.mark.parametrize('name', ['build', 'runtime', 'no_deps', 'tests', 'constraints'])
def test_every_requirement_is_pinned_and_repeated_in_the_dockerfile(text, name):
    requirements = text(f'requirements/{name}.txt')
    for line in pins(requirements):
        assert re.fullmatch(r'[\w.-]+==[\w.]+(; python_version (>=|<) "3\.11")?', line), line
    heredoc = re.search(rf'^COPY <<"EOF" /opt/requirements/{name}\.txt\n(.*?)^EOF$', text('Dockerfile'), re.M | re.S)
    assert heredoc, f'Dockerfile does not write {name}.txt'
    assert heredoc.group(1) == requirements


def test_a_package_is_pinned_once_per_python(text):
    names = []
    for name in ('build', 'runtime', 'no_deps', 'tests', 'constraints'):
        for line in pins(text(f'requirements/{name}.txt')):
            names.append((line.split('==')[0].lower(), line.partition(';')[2]))
    assert len(names) == len(set(names))


def test_dockerfile_and_setup_build_the_same_mmcv(text):
    (in_script,) = re.findall(r'^MMCV=(\S+)$', text('scripts/setup.sh'), re.M)
    assert f' mmcv-full=={in_script}\n' in text('Dockerfile')
    for setting in ('CFLAGS="-g0 -O2 -w"', 'MMCV_WITH_OPS=1', 'ATen/cuda/Atomic.cuh'):
        assert setting in text('scripts/setup.sh') and setting in text('Dockerfile')


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
    for folder in (repo_root / 'mmdet3d_plugin').rglob('*'):
        if folder.is_dir() and any(folder.glob('*.py')):
            assert (folder / '__init__.py').is_file(), f'{folder} is not a package: it would not be installed'
