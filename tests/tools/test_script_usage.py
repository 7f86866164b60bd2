"""Every shell script: ``--help`` answers at once and starts nothing, and words it does not know are refused."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
# sourced by others, or started with a real Python (see test_matrix_script.py)
NOT_HERE = ('scripts/usage.sh', 'scripts/setup_mmcv.sh', 'scripts/test_matrix.sh')
SCRIPTS = sorted(
    str(path.relative_to(REPO))
    for path in [REPO / '.ci' / 'run', *(REPO / 'scripts').rglob('*.sh'), *(REPO / 'tools').rglob('*.sh')]
    if str(path.relative_to(REPO)) not in NOT_HERE
)
PYTHONS = ('python', 'python3', *(f'python3.{minor}' for minor in range(9, 13)))
PROGRAMS = (*PYTHONS, 'torchrun', 'srun', 'nvidia-smi', 'pip')
TOY = 'configs/toy.py'


@pytest.fixture
def call(tmp_path):
    """Function: script, words -> exit status, output, programs that were started; in a copy with stand-ins."""
    root, record = tmp_path / 'copy', tmp_path / 'started'
    for folder in ('.ci', 'scripts', 'tools', 'requirements'):
        shutil.copytree(REPO / folder, root / folder, ignore=shutil.ignore_patterns('*.py', '__pycache__'))
    for file in ('mmdet3d_plugin/compat.py', TOY):
        (root / file).parent.mkdir(exist_ok=True)
        (root / file).touch()
    for program in [*(tmp_path / 'bin' / name for name in PROGRAMS), root / '.venv' / 'bin' / 'python']:
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f'#!/bin/sh\necho "{program.name} $*" >>"{record}"\nexit 1\n')
        program.chmod(0o755)
    env = {**os.environ, 'PATH': f'{tmp_path / "bin"}{os.pathsep}{os.environ["PATH"]}'}
    env = {key: value for key, value in env.items() if not key.startswith(('DUALDISTILL_', 'PYTHON'))}
    env['DUALDISTILL_PYTHON'] = str(tmp_path / 'bin' / 'python')  # a set-up that starts after all ends soon

    def run(script, *words, **more):
        done = subprocess.run(
            ['bash', str(root / script), *words], cwd=root, capture_output=True, text=True, env={**env, **more}
        )
        started = record.read_text().splitlines() if record.exists() else []
        return done.returncode, done.stdout + done.stderr, started

    return run


def test_there_are_scripts_of_every_folder():
    assert {str(Path(script).parent) for script in SCRIPTS} == {
        '.ci', 'scripts', 'scripts/teacher', 'scripts/teacher_to_bevdepth4d', 'scripts/teacher_to_bevformer', 'tools'
    }  # fmt: skip


@pytest.mark.parametrize('flag', ['--help', '-h'])
@pytest.mark.parametrize('script', SCRIPTS)
def test_help_is_the_comment_at_the_top_and_starts_nothing(call, script, flag):
    status, output, started = call(script, flag)
    assert status == 0 and started == []
    inner = 'scripts/launch.sh' if '/teacher' in script else script
    assert output.splitlines()[0] == (REPO / inner).read_text().splitlines()[1][2:]
    assert '#' not in output.replace('bash', '') and 'set -euo' not in output


@pytest.mark.parametrize('words', [(TOY, '2', '--help'), (TOY, '--seed', '1', '-h')])
def test_help_is_found_behind_other_words(call, words):
    for script in ('tools/dist_train.sh', 'tools/slurm_train.sh', 'scripts/launch.sh', 'scripts/teacher/mvp.sh'):
        status, output, started = call(script, *words)
        assert (status, started) == (0, []) and output.startswith('Train')


@pytest.mark.parametrize(
    'script, words, message',
    [
        ('scripts/setup.sh', ['now'], "it takes no arguments, settings are variables: 'now'"),
        ('scripts/quickstart.sh', ['now'], "'now' is one word too many"),
        ('scripts/quickstart.sh', ['--seed', '1'], 'there is no flag --seed; these are known: --family --teacher'),
        ('scripts/quickstart.sh', ['--seeds', '1', '2'], "'2' is one word too many after --seeds"),
        ('scripts/quickstart.sh', ['--seeds', '--jobs', '1'], '--seeds wants a value'),
        ('scripts/ablation.sh', ['--full-size', 'x'], "'x' is one word too many after --full-size"),
        ('scripts/ablation.sh', ['--configs'], '--configs wants a value'),
        ('scripts/check_gpu.sh', ['cpu'], "'cpu' is one word too many"),
        ('scripts/check_gpu.sh', ['--device'], '--device wants a value'),
        ('scripts/launch.sh', ['nowhere.py'], "there is no config file 'nowhere.py'"),
        ('scripts/launch.sh', ['--seed', '1'], "there is no config file '--seed'"),
        ('scripts/launch.sh', [TOY, '--sed', '1'], 'there is no flag --sed; these are known: --work-dir'),
        ('scripts/launch.sh', [TOY, 'x=1'], "'x=1' is one word too many"),
        ('tools/dist_train.sh', [TOY, 'x'], "processes per node must be a number from 1 on, not 'x'"),
        ('tools/dist_train.sh', ['2', TOY], "there is no config file '2'"),
        ('tools/dist_train.sh', [TOY, '0'], "processes per node must be a number from 1 on, not '0'"),
        ('tools/dist_train.sh', [TOY, '2', '--auto-resume=yes', 'x'], "'x' is one word too many after --auto-resume"),
        ('tools/dist_test.sh', [TOY, '2', 'a.pth'], "processes per node must be a number from 1 on, not 'a.pth'"),
        ('tools/dist_test.sh', [TOY, 'a.pth', '2', '--evaluate', 'bbox'], 'there is no flag --evaluate'),
        ('tools/slurm_train.sh', ['gpu', 'job', TOY, '-seed', '3'], 'there is no flag -seed; these are known'),
    ],
)  # fmt: skip
def test_unknown_words_are_refused_before_anything_starts(call, script, words, message):
    status, output, started = call(script, *words)
    assert status == 2 and started == []
    assert f'{Path(script).name}: {message}' in output and f'{script} --help says how' in output


@pytest.mark.parametrize(
    'script, words, variable',
    [
        ('scripts/launch.sh', [TOY], 'GPUS'),
        ('tools/slurm_train.sh', ['gpu', 'job', TOY], 'NODES'),
        ('tools/slurm_train.sh', ['gpu', 'job', TOY], 'GPUS_PER_NODE'),
    ],
)
def test_a_count_that_is_no_number_is_refused(call, script, words, variable):
    status, output, started = call(script, *words, **{variable: 'all'})
    assert status == 2 and started == [] and f"{variable} must be a number from 1 on, not 'all'" in output


def test_known_words_pass_with_values_of_every_form(call):
    words = ['--seed', '-1', '--cfg-options', 'a.b=1', 'c=-2', '--no-validate', '--work-dir=w', '--cfg-options=d=[1,2]']
    status, output, started = call('tools/dist_train.sh', TOY, '2', *words)
    assert started[-1].endswith(f'train.py {TOY} --launcher pytorch {" ".join(words)}'), output


@pytest.mark.parametrize('dash', '–—−')
def test_a_typographic_dash_is_read_as_two_hyphens_and_said(call, dash):
    status, output, started = call('tools/dist_train.sh', TOY, '2', f'{dash}seed', '3')
    assert started[-1].endswith('--seed 3') and f"'{dash}seed' is read as --seed" in output


@pytest.mark.parametrize(
    'script, tool',
    [
        ('tools/dist_train.sh', 'train'),
        ('tools/dist_test.sh', 'test'),
        ('scripts/quickstart.sh', 'quickstart'),
        ('scripts/ablation.sh', 'ablation'),
        ('scripts/check_gpu.sh', 'check_gpu'),
    ],
)
def test_the_listed_flags_are_those_of_the_tool(script, tool, monkeypatch, capsys):
    """A flag that is new in a tool has to be listed in the script that passes it on, or the script refuses it."""
    monkeypatch.syspath_prepend(str(REPO / 'tools'))
    spec = importlib.util.spec_from_file_location(f'tool_{tool}', REPO / 'tools' / f'{tool}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(sys, 'argv', [f'{tool}.py', '--help'])
    with pytest.raises(SystemExit):
        module.parse_args()
    flags = set(re.findall(r'^  (?:-\w, )?(--[a-z-]+)', capsys.readouterr().out, re.M)) - {'--help', '--launcher'}
    listed = set(re.findall(r'^# +(--[a-z-]+)', (REPO / script).read_text(), re.M))
    assert flags - {'--local-rank'} == listed
