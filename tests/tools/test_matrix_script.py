"""scripts/test_matrix.sh in a small repository whose set-up and tests are stand-ins."""

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time

import pytest
from helpers.signals import hear_signals

HERE = '.'.join(platform.python_version_tuple()[:2])
OTHER = '3.99'  # there is no such interpreter
# makes an "environment" whose versions are those that are asked for, and writes down how it was called
SETUP = """
echo "setup $DUALDISTILL_TORCH $DUALDISTILL_DEVICE ${VIRTUAL_ENV:-}${PYTHONPATH:-} $DUALDISTILL_PYTHON" >>"$RECORD"
if [ "$DUALDISTILL_TORCH" = "${BREAKS:-}" ]; then echo 'no space left'; exit 1; fi
if [ "$DUALDISTILL_TORCH" = "${HANGS:-}" ]; then echo $$ >"$RECORD.pid"; sleep 60; fi
mkdir -p .venv/bin .venv/.dualdistill/wheels
printf '["%s.7", "%s+cpu", "1.26.4", "1.7.2"]\\n' HERE "$DUALDISTILL_TORCH" >.venv/versions
printf '#!/bin/sh\\ncat "${0%%/bin/*}/versions"\\n' >.venv/bin/python
chmod +x .venv/bin/python
echo "torch$DUALDISTILL_TORCH-cpu-py" >.venv/.dualdistill/mmcv
if [ "${DUALDISTILL_TORCH%.*}" = 2.7 ]; then mkdir -p .venv/.dualdistill/wheels/torch$DUALDISTILL_TORCH-cpu-py; fi
touch .venv/.dualdistill/stamp
"""
TESTS = """
echo "test $DUALDISTILL_TORCH $*" >>"$RECORD"
for word in "$@"; do case $word in --junitxml=*) report=${word#*=} ;; esac; done
if [ "$DUALDISTILL_TORCH" = "${CRASHES:-}" ]; then echo 'import error'; exit 4; fi
cat tests/report.xml >"$report"
grep -q '<failure' tests/report.xml && [ "$DUALDISTILL_TORCH" = "${FAILS:-}" ] && exit 1
sed -i 's/<failure.*failure>//' "$report"
"""
REPORT = """<testsuites><testsuite><testcase classname="tests.a" name="one"/><testcase classname="tests.a" name="two">
<failure message="no">text</failure></testcase><testcase classname="tests.b" name="three"><skipped/></testcase>
</testsuite></testsuites>"""


@pytest.fixture
def matrix(tmp_path, repo_root, monkeypatch):
    """Function: flags -> exit status, output, calls of set-up and tests since the last time."""
    repo, record = tmp_path / 'repo', tmp_path / 'record'
    (repo / 'scripts').mkdir(parents=True)
    shutil.copytree(repo_root / 'tools', repo / 'tools', ignore=shutil.ignore_patterns('__pycache__'))
    for name in ('test_matrix.sh', 'usage.sh'):
        shutil.copy(repo_root / 'scripts' / name, repo / 'scripts')
    start = '#!/bin/bash\ncd "$(dirname "$0")/.."\n'
    (repo / 'scripts' / 'setup.sh').write_text(start + SETUP.replace('HERE', HERE))
    (repo / 'scripts' / 'test.sh').write_text(start + TESTS)
    for file, text in (('tests/report.xml', REPORT), ('requirements/torch.txt', 'torch'), ('README.md', '')):
        (repo / file).parent.mkdir(exist_ok=True)
        (repo / file).write_text(text)
    (repo / '.gitignore').write_text('.venv/\n__pycache__/\n')
    for key, value in dict(RECORD=record, PYTHONS=sys.executable, PYENV_ROOT=tmp_path, VIRTUAL_ENV='/active').items():
        monkeypatch.setenv(key, str(value))
    for key in ('DUALDISTILL_DEVICE', 'DUALDISTILL_WHEELS'):
        monkeypatch.delenv(key, raising=False)

    def git(*words):
        identity = ['-c', 'user.name=n', '-c', 'user.email=e@x', '-c', 'commit.gpgsign=false']
        subprocess.run(['git', *identity, '-C', str(repo), *words], check=True, capture_output=True)

    def run(*words, wait=True):
        record.unlink(missing_ok=True)
        command = ['bash', str(repo / 'scripts' / 'test_matrix.sh'), '--folder', str(tmp_path / 'out'), *words]
        pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        process = subprocess.Popen(command, preexec_fn=hear_signals, **pipes)
        if not wait:
            return process
        output = process.communicate(timeout=60)[0]
        return process.returncode, output, record.read_text().splitlines() if record.exists() else []

    git('init', '-q')
    git('add', '-A')
    git('commit', '-qm', 'first')
    run.repo, run.git, run.out = repo, git, tmp_path / 'out'
    return run


def rows(matrix):
    return {one['torch']: one for one in json.loads((matrix.out / 'matrix.json').read_text())}


def test_each_pair_is_set_up_tested_and_reported(matrix):
    pairs = f'{HERE}+2.7.1,{HERE}+2.13.0'
    status, output, calls = matrix('--pairs', pairs)
    assert status == 0, output
    assert [call.split()[:2] for call in calls] == [
        ['setup', '2.7.1'],
        ['test', '2.7.1'],
        ['setup', '2.13.0'],
        ['test', '2.13.0'],
    ]
    assert calls[0].split()[2:] == ['cpu', sys.executable]  # no active environment, no PYTHONPATH
    assert (
        '-m not slow' in calls[1]
        and 'tests/models tests/distill tests/hooks tests/engine tests/contract tests/test_compat.py' in calls[1]
    )
    table = [line.split() for line in output.splitlines() if '+cpu' in line]
    assert [row[:8] for row in table] == [
        [f'{HERE}.7', '2.7.1+cpu', '1.26.4', '1.7.2,', 'cpu,', 'compiled', 'passed', '2'],
        [f'{HERE}.7', '2.13.0+cpu', '1.26.4', '1.7.2,', 'cpu,', 'prebuilt', 'passed', '2'],
    ]
    assert [row[8:10] for row in table] == [['0', '1'], ['0', '1']]
    markdown = (matrix.out / 'matrix.md').read_text()
    assert f'| {HERE}.7 | 2.7.1+cpu | 1.26.4 | 1.7.2, cpu, compiled | passed | 2 | 0 | 1 |' in markdown
    assert rows(matrix)['2.7.1+cpu']['failures'] == []


def test_one_failing_pair_of_each_kind_leaves_the_others_alone(matrix, monkeypatch):
    for variable, torch in (('BREAKS', '2.5.1'), ('CRASHES', '2.6.0'), ('FAILS', '2.7.1')):
        monkeypatch.setenv(variable, torch)
    status, output, calls = matrix('--pairs', f'{OTHER}+2.5.0,{HERE}+2.5.1,{HERE}+2.6.0,{HERE}+2.7.1,{HERE}+2.13.0')
    assert status == 1
    found = rows(matrix)
    assert [one['status'] for one in found.values()] == [
        'no interpreter',
        'set-up failed',
        'no tests',
        'failed',
        'passed',
    ]
    assert f'no python{OTHER} found' in found['2.5.0']['reason'] and 'PYTHONS' in output
    assert 'no space left' in output and 'import error' in output  # the ends of the logs
    assert found['2.7.1+cpu']['failures'] == ['tests.a::two']
    assert (found['2.7.1+cpu']['passed'], found['2.7.1+cpu']['failed'], found['2.7.1+cpu']['skipped']) == (1, 1, 1)
    assert '- `tests.a::two`' in output and '- `tests.a::two`' in (matrix.out / 'matrix.md').read_text()


def test_what_passed_is_skipped_until_something_it_depends_on_changes(matrix, monkeypatch):
    pair = ('--pairs', f'{HERE}+2.7.1')
    monkeypatch.setenv('FAILS', '2.7.1')
    assert matrix(*pair)[0] == 1
    monkeypatch.delenv('FAILS')
    status, output, calls = matrix(*pair)  # what failed is run again, its set-up is not
    assert status == 0 and [call.split()[0] for call in calls] == ['test']
    status, output, calls = matrix(*pair)
    assert (status, calls) == (0, []) and 'skipped' in output and ' 2.7.1+cpu ' in output
    for file, expected in (
        ('README.md', []),
        ('tests/new.py', ['test']),
        ('requirements/torch.txt', ['setup', 'test']),
    ):
        (matrix.repo / file).write_text('changed')
        status, output, calls = matrix(*pair)  # not committed: said, not tested
        assert (status, calls) == (0, []) and 'NOT tested: 1 file(s)' in output and file in output
        matrix.git('add', '-A')
        matrix.git('commit', '-qm', file)
        status, output, calls = matrix(*pair)
        assert status == 0 and [call.split()[0] for call in calls] == expected
        assert 'NOT tested' not in output
    assert (matrix.out / f'{HERE}+2.7.1' / 'clone' / 'tests' / 'new.py').read_text() == 'changed'


def test_all_pairs_are_of_the_commit_at_the_start(matrix, monkeypatch):
    """Also when the checkout moves on meanwhile: the first set-up commits something here."""
    commit = (
        f'cd {matrix.repo} && touch later && git add later && git -c user.name=n -c user.email=e@x commit -qm later'
    )
    (matrix.repo / 'scripts' / 'setup.sh').open('a').write(f'[ -e {matrix.repo}/later ] || ( {commit} )\n')
    matrix.git('commit', '-qam', 'second')
    assert matrix('--pairs', f'{HERE}+2.7.1,{HERE}+2.13.0')[0] == 0
    assert (matrix.repo / 'later').exists()
    first, second = (one['commit'] for one in rows(matrix).values())
    assert first == second
    assert not list(matrix.out.glob('*/clone/later'))


def test_a_report_of_an_earlier_run_does_not_stand_for_a_crash(matrix, monkeypatch):
    pair = ('--pairs', f'{HERE}+2.7.1')
    assert matrix(*pair)[0] == 0
    (matrix.repo / 'tests' / 'new.py').touch()
    matrix.git('add', '-A')
    matrix.git('commit', '-qm', 'second')
    monkeypatch.setenv('CRASHES', '2.7.1')
    assert matrix(*pair)[0] == 1 and rows(matrix)['2.7.1']['status'] == 'no tests'


@pytest.mark.parametrize('kind', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_stops_what_it_started_and_goes_on_later(matrix, monkeypatch, tmp_path, kind):
    monkeypatch.setenv('HANGS', '2.13.0')
    pairs = ('--pairs', f'{HERE}+2.7.1,{HERE}+2.13.0')
    process = matrix(*pairs, wait=False)
    pid = tmp_path / 'record.pid'
    while not pid.exists() or not pid.read_text():
        assert process.poll() is None
        time.sleep(0.05)
    assert matrix(*pairs)[1] == f'another run works in {matrix.out}: wait for it or choose another --folder\n'
    process.send_signal(kind)
    output = process.communicate(timeout=20)[0]
    assert process.returncode == 130 and 'start the same command again' in output and '2.7.1+cpu' in output
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
    monkeypatch.delenv('HANGS')
    status, output, calls = matrix(*pairs)
    assert status == 0 and [call.split()[:2] for call in calls] == [['setup', '2.13.0'], ['test', '2.13.0']]


@pytest.mark.parametrize(
    'words, message',
    [
        (['--pairs', '3.9'], '"3.9" is not a pair of Python and torch such as 3.9+2.8.0'),
        (['--pairs', '3.9+2.8.0,'], '"" is not a pair'),
        (['--pair', '3.9+2.8.0'], 'unrecognized arguments: --pair'),
        (['all'], 'unrecognized arguments: all'),
    ],
)
def test_words_that_mean_nothing_are_refused(matrix, words, message):
    status, output, calls = matrix(*words)
    assert status == 2 and message in output and not calls


def test_help_starts_nothing(matrix):
    status, output, calls = matrix('--help')
    assert status == 0 and '--pairs' in output and 'PYTHONS' in output and not calls


def test_an_interpreter_that_does_not_run_is_named(matrix, monkeypatch, tmp_path):
    shim = tmp_path / 'shims' / f'python{OTHER}'
    shim.parent.mkdir()
    shim.write_text('#!/bin/sh\nexit 127\n')
    shim.chmod(0o755)
    monkeypatch.setenv('PATH', f'{shim.parent}{os.pathsep}{os.environ["PATH"]}')
    matrix('--pairs', f'{OTHER}+2.5.0')
    assert rows(matrix)['2.5.0']['reason'].startswith(f'no python{OTHER} found (these do not run: {shim})')
    monkeypatch.setenv('PYTHONS', f'{sys.executable} nowhere')
    matrix('--pairs', f'{OTHER}+2.5.0')
    assert rows(matrix)['2.5.0']['reason'] == 'PYTHONS names nowhere, which is no working interpreter'


def test_a_folder_that_is_no_checkout_is_said(matrix):
    shutil.rmtree(matrix.repo / '.git')
    status, output, calls = matrix()
    assert status == 1 and f'git status failed in {matrix.repo}: fatal: not a git repository' in output and not calls
