"""tools/misc/doctor.py as a whole: on this machine, on an empty one, and with libraries that are broken."""

import getpass
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def doctor(*words, packages=None, root=ROOT, python=sys.executable):
    """(exit status, output) of the tool; ``packages`` is a folder whose packages hide the installed ones."""
    path = os.pathsep.join(map(str, filter(None, (packages, root))))
    command = [str(python), str(root / 'tools' / 'misc' / 'doctor.py'), *words]
    environment = dict(os.environ, PYTHONPATH=path, CUDA_VISIBLE_DEVICES='')
    done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, timeout=300)
    assert 'Traceback' not in done.stderr, done.stderr
    return done.returncode, done.stdout


def fake(folder, package, code):
    """A package that runs ``code`` when it is imported."""
    (folder / package).mkdir(parents=True)
    (folder / package / '__init__.py').write_text(code)
    return folder


def line(report, section, subject):
    (found,) = [one for one in report['sections'][section] if one['subject'] == subject]
    return found


@pytest.fixture
def bare_tree(tmp_path):
    """What the tool needs of the repository, where no data and no checkpoint lies."""
    root = tmp_path / 'clone'
    for part in ('tools', 'dualdistill_cli', 'requirements', 'mmdet3d_plugin/__init__.py'):
        source, target = ROOT / part, root / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns('__pycache__'))
        else:
            shutil.copy(source, target)
    return root


def test_the_machine_that_runs_the_tests():
    status, output = doctor()
    assert status == 0, output
    rows = [' '.join(row.split()) for row in output.splitlines()]
    assert 'ok imports torch, mmcv with its operators, mmdet and mmdet3d load' in rows
    assert any(row.startswith('ok mmcv on cpu compiled by') and row.endswith('runs') for row in rows)
    assert any(row.startswith(('ok own on cpu cpp', 'note own on cpu')) for row in rows)
    assert rows[0] == 'environment' and 'what to do next' in rows and 'this environment cannot run' not in rows
    assert max(map(len, output.splitlines())) <= 160
    for secret in (str(ROOT), str(Path.home()) + '/', f'/{getpass.getuser()}/'):
        assert secret not in output


def test_a_broken_mmcv_is_a_line_that_names_the_file_and_nobodys_home(tmp_path):
    error = f"raise ImportError('{Path.home()}/lib/libcudart.so.12: cannot open\\nsecond line')"
    status, output = doctor('--json', packages=fake(tmp_path, 'mmcv', error))
    report = json.loads(output)
    assert status == 1 and report['can_run'] is False
    found = line(report, 'environment', 'imports')
    assert found['verdict'] == 'fatal'
    assert found['facts'] == dict(module='mmdet3d_plugin', error='ImportError: ~/lib/libcudart.so.12: cannot open')
    assert 'mmcv/__init__.py: ImportError: ~/lib' in found['text'] and found['text'].endswith('scripts/setup.sh')
    assert report['problems'] == [f'imports: {found["text"]}']
    assert line(report, 'operators', 'operators')['text'] == 'not looked at: the libraries cannot be imported'
    assert line(report, 'environment', 'mmcv-full')['facts']['version'] == '1.7.2'  # its papers are in order
    assert [step['command'] for step in report['next']] == ['bash scripts/setup.sh']


@pytest.mark.parametrize(
    'code, found',
    [
        ('import os; os.kill(os.getpid(), 11)', 'the process was ended by signal 11'),
        ('import os; os._exit(3)', 'the process ended with status 3'),
        ('raise SystemExit(4)', 'torch cannot be imported, in '),
        ("__version__ = '2.4.1'", 'mmdet3d_plugin cannot be imported'),
    ],
)
def test_a_torch_that_ends_the_process_does_not_end_the_report(tmp_path, code, found):
    status, output = doctor(packages=fake(tmp_path, 'torch', code))
    assert status == 1
    flat = ' '.join(output.split())
    assert found in flat and 'FATAL' in flat and 'this environment cannot run' in flat
    assert 'data sets' in output and 'not looked at' in flat


def test_an_empty_machine(bare_tree, tmp_path):
    subprocess.run([sys.executable, '-m', 'venv', '--without-pip', str(bare_tree / '.venv')], check=True)
    status, output = doctor('--json', root=bare_tree, python=bare_tree / '.venv' / 'bin' / 'python')
    report = json.loads(output)
    assert status == 1
    assert line(report, 'environment', 'Python')['text'].endswith('in .venv')
    assert line(report, 'environment', 'torch') == dict(
        subject='torch', verdict='wrong', text='not installed: bash scripts/setup.sh',
        facts=dict(version=None, pinned=line(report, 'environment', 'torch')['facts']['pinned']),
    )  # fmt: skip
    assert line(report, 'environment', 'tested pair')['verdict'] == 'note'
    assert line(report, 'environment', 'imports')['facts']['module'] == 'numpy'
    assert line(report, 'environment', 'DualDistill')['text'].endswith('no checkout of git')
    assert line(report, 'data sets', 'data sets')['text'] == 'none in data/'
    assert str(tmp_path) not in output


def test_text_and_json_tell_the_same(bare_tree, tmp_path):
    packages = fake(tmp_path, 'numpy', "raise ImportError('gone')")
    report = json.loads(doctor('--json', packages=packages, root=bare_tree)[1])
    text = ' '.join(doctor(packages=packages, root=bare_tree)[1].split())
    for lines in report['sections'].values():
        for one in lines:
            assert ' '.join(f'{one["subject"]} {one["text"]}'.split()) in text
