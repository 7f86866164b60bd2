"""One pair of Python and torch: its interpreter, its clone, its set-up and its tests."""

import glob
import hashlib
import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from workflow.progress import Console
from workflow.step import Step, StepFailedError

from .report import Outcome, count_tests

# what is tested unless you name others: the oldest and newest Python that run, and torch for CUDA 12 and CUDA 13
PAIRS = ('3.9+2.8.0', '3.10+2.7.1', '3.11+2.13.0', '3.12+2.13.0')
_CORE_ROOMS = ('structures', 'ops', 'checkpoints', 'models', 'distill', 'hooks', 'engine', 'contract')
CORE_TESTS = (*(f'tests/{room}' for room in _CORE_ROOMS), 'tests/test_compat.py')
# what decides whether a pair has to be set up, and tested, again
_SETUP_SOURCES = ('requirements', 'setup.py', 'scripts/setup.sh', 'scripts/setup_mmcv.sh', 'mmdet3d_plugin/ops')
_SOURCES = (*_SETUP_SOURCES, 'pyproject.toml', 'scripts/test.sh', 'mmdet3d_plugin', 'configs', 'tools', 'tests')
_VERSIONS = """
import json, platform, numpy, torch, importlib.metadata as m
print(json.dumps([platform.python_version(), torch.__version__, numpy.__version__, m.version('mmcv-full')]))
"""


class PairFailedError(RuntimeError):
    """A pair that cannot be tested: ``status`` for the table, ``reason`` in one line, the message in full."""

    def __init__(self, status, reason, message=''):
        super().__init__(message or reason)
        self.status, self.reason = status, reason


@dataclass(frozen=True)
class Pair:
    """Versions to install: Python as '3.9', torch as '2.8.0'."""

    python: str
    torch: str

    @property
    def name(self) -> str:
        """'3.9+2.8.0', also the name of its folder."""
        return f'{self.python}+{self.torch}'

    @classmethod
    def parse(cls, text: str) -> 'Pair':
        """Read '3.9+2.8.0'.

        Raises:
            ValueError: It is no such pair.
        """
        match = re.fullmatch(r'(3\.\d+)\+(\d+\.\d+\.\d+)', text)
        if not match:
            raise ValueError(f'"{text}" is not a pair of Python and torch such as 3.9+2.8.0')
        return cls(*match.groups())


def find_interpreter(version: str) -> str:
    """A working interpreter of a version: from PYTHONS, from the PATH, or one that pyenv has installed.

    Args:
        version: Such as '3.9'.

    Raises:
        PairFailedError: There is none; the reason names those that do not work.
    """
    name = f'python{version}'
    folders = os.environ.get('PATH', os.defpath).split(os.pathsep)
    pyenv = os.environ.get('PYENV_ROOT', os.path.expanduser('~/.pyenv'))
    named = [_named(word) for word in os.environ.get('PYTHONS', '').split()]
    usual = [*(f'{folder}/{name}' for folder in folders), *sorted(glob.glob(f'{pyenv}/versions/*/bin/{name}'))]
    broken = []
    for candidate in [*named, *usual]:
        if os.access(candidate, os.X_OK):
            found = _version_of(candidate)
            if found == version:
                return candidate
            if candidate in usual:  # a version manager's stand-in for a version that is not switched on
                broken.append(candidate)
    remark = f' (these do not run: {", ".join(broken)})' if broken else ''
    raise PairFailedError('no interpreter', f'no {name} found{remark}: put it on the PATH, or name one in PYTHONS')


def _named(word):
    found = shutil.which(os.path.expanduser(word))
    if not found or not _version_of(found):
        raise PairFailedError('no interpreter', f'PYTHONS names {word}, which is no working interpreter')
    return found


def _version_of(python):
    command = [python, '-c', 'import sys; print("%d.%d" % sys.version_info[:2])']
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ''


def describe_checkout(repo: Path) -> str:
    """str: The commit that is tested, and that changes which are not committed are left out.

    Raises:
        PairFailedError: It is no checkout of git.
    """
    changes = _git(repo, 'status', '--porcelain').splitlines()
    text = f'testing commit {_git(repo, "log", "-1", "--format=%h (%s)").strip()}'
    if changes:
        text += f'\nNOT tested: {len(changes)} file(s) with changes that are not committed, such as {changes[0][3:]}'
    return text


def current_commit(repo: Path) -> str:
    """The commit that is checked out.

    Raises:
        PairFailedError: It is no checkout of git.
    """
    return _git(repo, 'rev-parse', 'HEAD').strip()


def run_pair(pair: Pair, python: str, repo: Path, commit: str, folder: Path, label: str, jobs: int) -> Outcome:
    """Set up a pair and run its tests, unless that was done before with the same sources.

    Args:
        pair: What to install.
        python: Interpreter, see :func:`find_interpreter`.
        repo: Checkout that has the commit.
        commit: What is tested.
        folder: Gets a folder for the pair.
        label: Start of the console's lines.
        jobs: Files of tests at a time.

    Returns:
        Outcome: With the numbers of tests, failed ones or not.

    Raises:
        PairFailedError: The clone or the set-up failed, or the tests gave no report.
    """
    home, clone = folder / pair.name, folder / pair.name / 'clone'
    setup, tests = _steps(pair, python, repo, commit, home, jobs)
    if not (setup.is_done() and tests.is_done()):
        _update_clone(repo, commit, clone)
    try:
        setup_seconds = setup.run(Console(f'{label} {setup.title}'))
    except StepFailedError as error:
        raise PairFailedError('set-up failed', f'the set-up failed, see {setup.log}', str(error)) from error
    reason, junit = '', home / 'junit.xml'
    if not tests.is_done():
        junit.unlink(missing_ok=True)
    try:
        tests.run(Console(f'{label} {tests.title}'))
    except StepFailedError as error:
        if not junit.is_file():
            raise PairFailedError('no tests', f'the tests gave no report, see {tests.log}', str(error)) from error
        reason = f'tests failed, see {tests.log}'
    versions = _versions(clone)
    return Outcome(
        **versions,
        **count_tests(junit),
        status='failed' if reason else 'passed',
        reason=reason,
        setup_seconds=setup_seconds,
        test_seconds=tests.read_marker()['seconds'],
        commit=current_commit(clone),
    )


def _steps(pair, python, repo, commit, home, jobs):
    """tuple[Step, Step]: set-up and tests."""
    clone = home / 'clone'
    wheels = os.environ.get('DUALDISTILL_WHEELS') or repo.parent / 'shared' / 'wheels'
    variables = {
        'DUALDISTILL_PYTHON': python,
        'DUALDISTILL_TORCH': pair.torch,
        'DUALDISTILL_DEVICE': os.environ.get('DUALDISTILL_DEVICE') or 'cpu',
    }
    if Path(wheels).is_dir():
        variables['DUALDISTILL_WHEELS'] = str(Path(wheels).resolve())
    # an environment that is active here is not the pair's
    start = ['env', *(word for name in ('VIRTUAL_ENV', 'CONDA_PREFIX', 'PYTHONPATH') for word in ('-u', name))]
    start += [f'{name}={value}' for name, value in variables.items()]
    setup = Step(
        'setup',
        f'{pair.name}: set-up',
        (*start, 'bash', str(clone / 'scripts' / 'setup.sh')),
        home,
        outputs=(clone / '.venv' / '.dualdistill' / 'stamp',),
        settings=_hash_of(repo, commit, _SETUP_SOURCES),
    )
    pytest = ['-q', '-n', str(jobs), '-m', 'not slow', f'--junitxml={home / "junit.xml"}', *CORE_TESTS]
    tests = Step(
        'tests',
        f'{pair.name}: tests',
        (*start, 'bash', str(clone / 'scripts' / 'test.sh'), *pytest),
        home,
        outputs=(home / 'junit.xml',),
        settings=_hash_of(repo, commit, _SOURCES),
        after=(setup,),
    )
    return setup, tests


def _hash_of(repo, commit, paths):
    """str: Changes with any of the files as they are committed."""
    return hashlib.sha256(_git(repo, 'ls-tree', '-r', commit, '--', *paths).encode()).hexdigest()


def _update_clone(repo, commit, clone):
    """Bring a clone to a commit; its environment and compiled files stay."""
    try:
        if not (clone / '.git').is_dir():
            shutil.rmtree(clone, ignore_errors=True)
            clone.parent.mkdir(parents=True, exist_ok=True)
            _git(repo, 'clone', '--quiet', '--no-checkout', str(repo), str(clone))
        _git(clone, 'fetch', '--quiet', str(repo), 'HEAD')
        _git(clone, 'reset', '--quiet', '--hard', commit)
        _git(clone, 'clean', '--quiet', '-fd')
    except OSError as error:
        raise PairFailedError('no clone', f'{clone} cannot be written: {error}') from error


def _versions(clone) -> dict:
    """dict[str, str]: ``python``, ``torch``, ``numpy`` and ``mmcv`` of a clone's environment."""
    state = clone / '.venv' / '.dualdistill'
    command = [str(clone / '.venv' / 'bin' / 'python'), '-W', 'ignore', '-c', _VERSIONS]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    python, torch, numpy, mmcv = json.loads(answer.splitlines()[-1])
    key = (state / 'mmcv').read_text().strip()
    origin = 'compiled' if (state / 'wheels' / key).is_dir() else 'prebuilt'
    device = 'cuda' if '-cuda-' in key else 'cpu'
    return {'python': python, 'torch': torch, 'numpy': numpy, 'mmcv': f'{mmcv}, {device}, {origin}'}


def _git(folder, *words):
    """str: git's answer.

    Raises:
        PairFailedError: git failed, or is not there.
    """
    try:
        done = subprocess.run(['git', '-C', str(folder), *words], capture_output=True, text=True)
    except FileNotFoundError as error:
        raise PairFailedError('no clone', 'git is not installed') from error
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ['no reason given'])[-1]
        raise PairFailedError('no clone', f'git {words[0]} failed in {folder}: {reason}')
    return done.stdout
