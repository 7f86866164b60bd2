"""The early decisions of scripts/setup.sh, in a copy of the repository's root with interpreters that pretend."""

import os
import shutil
import subprocess

import pytest


def pretend(path, body='exit 0'):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\n{body}\n')
    path.chmod(0o755)
    return path


@pytest.fixture
def place(repo_root, tmp_path):
    """Folder with nothing but the scripts, and a .venv whose interpreter agrees to everything but running scripts."""
    root = tmp_path / 'clone'
    for folder in ('scripts', 'requirements'):
        shutil.copytree(repo_root / folder, root / folder)
    (root / 'mmdet3d_plugin').mkdir()
    shutil.copy(repo_root / 'mmdet3d_plugin' / 'compat.py', root / 'mmdet3d_plugin')
    # "python - ..." is the check of mmcv-full: it does not work yet; "-m venv" is a new environment
    pretend(root / '.venv' / 'bin' / 'python', 'case "$*" in -\\ *) exit 1 ;; *sysconfig*) echo nowhere ;; esac')
    (root / '.venv' / 'bin' / 'activate').write_text(f'VIRTUAL_ENV="{root}/.venv"\nexport VIRTUAL_ENV\n')
    pretend(tmp_path / 'other', 'case "$*" in *"-m venv"*) exit 7 ;; esac')
    return root


@pytest.fixture
def set_up(place, tmp_path):
    def run(**env):
        env = {'DUALDISTILL_PYTHON': str(tmp_path / 'other'), 'DUALDISTILL_WHEELS': str(tmp_path), **env}
        done = subprocess.run(
            ['bash', str(place / 'scripts' / 'setup.sh')], capture_output=True, text=True, env={**os.environ, **env}
        )
        return done.returncode, done.stdout + done.stderr

    return run


def test_a_missing_compiler_or_header_is_said_before_the_long_steps(set_up):
    status, output = set_up(CXX='no-such-compiler')
    assert status == 1
    assert 'a C++ compiler (no-such-compiler); Python.h of ' in output and 'apt-get install g++ python3-dev' in output
    assert 'installing' not in output


def test_a_moved_environment_is_made_anew_but_keeps_its_compiled_wheels(set_up, place):
    wheel = place / '.venv' / '.dualdistill' / 'wheels' / 'key' / 'mmcv_full-1.whl'
    wheel.parent.mkdir(parents=True)
    wheel.touch()
    (wheel.parents[2] / 'stamp').touch()
    (place / '.venv' / 'bin' / 'activate').write_text(f'VIRTUAL_ENV=/before{place}/.venv\n')
    status, output = set_up()
    assert status == 1 and '.venv was made at another place' in output
    assert 'cannot create a virtual environment' in output  # the pretended interpreter's answer
    assert not (place / '.venv' / 'bin').exists() and not (wheel.parents[2] / 'stamp').exists()
    assert wheel.exists()


def test_an_environment_whose_borrowed_torch_is_gone_is_made_anew(set_up, place):
    mark = place / '.venv' / '.dualdistill' / 'existing_torch'
    mark.parent.mkdir()
    mark.touch()
    status, output = set_up()
    assert status == 1 and 'the torch that .venv borrowed is gone' in output and 'creating .venv' in output


@pytest.mark.parametrize('value', ['no-such-python', 'false'])
def test_an_interpreter_that_will_not_do_is_refused(set_up, place, value):
    shutil.rmtree(place / '.venv')
    status, output = set_up(DUALDISTILL_PYTHON=value)
    assert status == 1 and f'DUALDISTILL_PYTHON={value} is not a working Python 3.9 to 3.12' in output
    assert 'creating' not in output


@pytest.mark.parametrize('name', ['quickstart.sh', 'test.sh', 'launch.sh'])
def test_no_script_depends_on_an_activated_environment(repo_root, name):
    text = (repo_root / 'scripts' / name).read_text()
    assert 'activate' not in text.replace('activated', '') and '.venv/bin/python' in text


@pytest.mark.parametrize(
    'variable, value, message',
    [
        ('DUALDISTILL_DEVICE', 'gpu', 'DUALDISTILL_DEVICE=gpu: choose cpu or cuda'),
        ('DUALDISTILL_TORCH', '2.4.1', 'DUALDISTILL_TORCH=2.4.1 is too old: 2.5 or newer is needed'),
        ('DUALDISTILL_TORCH', 'newest', 'DUALDISTILL_TORCH=newest is not a version such as 2.7.1'),
        ('DUALDISTILL_WHEELS', 'nowhere', 'DUALDISTILL_WHEELS=nowhere is not a folder'),
    ],
)
def test_a_variable_that_cannot_be_right_is_refused_at_once(set_up, variable, value, message):
    status, output = set_up(**{variable: value})
    assert status == 1 and f'FAILED: {message}' in output and len(output.splitlines()) == 1


@pytest.mark.parametrize('value', ['2.5.0', '2.13.0', '2.10.1+cu128', '3.0'])
def test_every_newer_torch_may_be_wanted(set_up, value):
    status, output = set_up(DUALDISTILL_TORCH=value, CXX='no-such-compiler')
    assert status == 1 and 'DUALDISTILL_TORCH' not in output and 'a C++ compiler (no-such-compiler)' in output
