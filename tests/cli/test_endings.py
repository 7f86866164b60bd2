"""Which errors end a tool in one line, and which keep their traceback."""

import logging
import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from mmcv import Config
from mmcv.utils import Registry
from torch.utils.data import DataLoader

from dualdistill_cli import check_writable
from dualdistill_cli.endings import is_foreseen, message, run_tool
from mmdet3d_plugin.audit.config_problem import ConfigProblem, blame
from mmdet3d_plugin.audit.run_check import load_for_training
from mmdet3d_plugin.datasets.infos.splits import find_versions
from mmdet3d_plugin.datasets.lidar_file import decode_lidar
from mmdet3d_plugin.synthetic import SyntheticConfig

ROOT = Path(__file__).resolve().parents[2]
TOY = str(ROOT / 'configs' / 'quickstart' / 'dualdistill_toy.py')
PARTS = Registry('part')


@PARTS.register_module()
class Part:
    def __init__(self, size):
        find_versions('nowhere', str(size))


class BadSample:
    """A data set whose LiDAR files are damaged."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return decode_lidar(b'cut', 'a.bin')


def refuse(_):
    find_versions('nowhere', 'v0')


def raised(call):
    with pytest.raises(Exception) as caught:
        call()
    return caught.value


def in_a_worker():
    with ProcessPoolExecutor(1, multiprocessing.get_context('fork')) as pool:
        pool.submit(refuse, 0).result()


def in_a_pool():
    with multiprocessing.get_context('fork').Pool(1) as pool:
        pool.map(refuse, [0])


def in_a_data_loader():
    next(iter(DataLoader(BadSample(), num_workers=1, multiprocessing_context='fork')))


def blamed():
    with blame('model.head'):
        np.zeros(3).reshape(2)


@pytest.mark.parametrize(
    'call, said',
    [
        (lambda: find_versions('nowhere', 'v0'), "unknown nuScenes version 'v0'"),
        (lambda: SyntheticConfig(extent=0.0), 'extent=0.0: must be at least 5.0'),
        (lambda: Path('/nowhere/file').read_bytes(), "[Errno 2] No such file or directory: '/nowhere/file'"),
        (lambda: Path('/dev/null/file').mkdir(), "[Errno 20] Not a directory: '/dev/null/file'"),
        (lambda: Config.fromfile('nowhere.py'), 'nowhere.py" does not exist'),
        (lambda: PARTS.build(dict(type='Prat')), 'Prat is not in the part registry'),
        (lambda: PARTS.build(dict(type='Part', size='v0')), "Part: unknown nuScenes version 'v0'"),
        (lambda: PARTS.build(dict(type='Part', colour=1)), 'Part: '),
        (blamed, 'model.head: cannot reshape'),
        (in_a_worker, "unknown nuScenes version 'v0'"),
        (in_a_pool, "unknown nuScenes version 'v0'"),
        (in_a_data_loader, 'LiDAR file a.bin: '),
        (lambda: load_for_training(TOY, {'optimzer.lr': 1}), 'did you mean optimizer.lr?'),
        (lambda: check_writable({'--work-dir': '/dev/null/runs'}), '--work-dir /dev/null/runs: cannot be written to'),
    ],
)  # fmt: skip
def test_foreseen(call, said):
    error = raised(call)
    assert is_foreseen(error)
    assert said in message(error) and 'File "' not in message(error)


def assertion():
    from mmdet3d_plugin import compat

    return compat.Version('no version')


@pytest.mark.parametrize(
    'call',
    [
        lambda: np.zeros(3).reshape(2),  # ValueError inside a library
        lambda: SyntheticConfig(objects={'car': 'many'}),  # TypeError of an expression in our own code
        lambda: int('x'),
        lambda: [][0],
        lambda: 1 / 0,
        assertion,
    ],
)
def test_unforeseen(call):
    assert not is_foreseen(raised(call))


def test_a_raise_of_a_test_is_not_ours():
    def fail():
        raise ValueError('from elsewhere')

    assert not is_foreseen(raised(fail))
    assert is_foreseen(raised(lambda: refuse(0)))


def test_problem_type_is_kept():
    assert isinstance(raised(blamed), ConfigProblem)


def test_status_and_line(monkeypatch, capsys):
    monkeypatch.delenv('DUALDISTILL_TRACEBACK', raising=False)
    assert run_tool(lambda: None) is None and run_tool(lambda: 0) is None
    with pytest.raises(SystemExit) as stop:
        run_tool(lambda: 3)
    assert stop.value.code == 3
    with pytest.raises(SystemExit) as stop:
        run_tool(lambda: refuse(0))
    assert stop.value.code.startswith('error: unknown nuScenes') and 'TRACEBACK=1 shows where' in stop.value.code
    monkeypatch.setenv('DUALDISTILL_TRACEBACK', '1')
    with pytest.raises(ValueError, match='unknown nuScenes'):
        run_tool(lambda: refuse(0))


def test_the_log_of_a_run_holds_why_it_ended(monkeypatch, tmp_path):
    monkeypatch.delenv('DUALDISTILL_TRACEBACK', raising=False)
    handler = logging.FileHandler(tmp_path / 'run.log')
    handler.setFormatter(logging.Formatter('%(levelname)s - %(message)s'))
    logger = logging.getLogger('a run of the tests')
    logger.addHandler(handler)
    try:
        with pytest.raises(SystemExit):
            run_tool(lambda: refuse(0))
        (line,) = (tmp_path / 'run.log').read_text().splitlines()
        assert line.startswith("ERROR - the run ended: unknown nuScenes version 'v0'")
        with pytest.raises(ValueError, match='reshape'):
            run_tool(lambda: np.zeros(3).reshape(2))
        assert (tmp_path / 'run.log').read_text().splitlines()[-1].startswith('ValueError: cannot reshape')
    finally:
        logger.removeHandler(handler)
        handler.close()


def test_interruption(monkeypatch, capsys):
    monkeypatch.delenv('DUALDISTILL_TRACEBACK', raising=False)

    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as stop:
        run_tool(interrupt)
    assert stop.value.code == 130 and capsys.readouterr().err == '\nerror: interrupted\n'


@pytest.mark.parametrize('lines', [1, 100000])
def test_output_that_nobody_reads(lines):
    code = f'from dualdistill_cli import run_tool; run_tool(lambda: print("line\\n" * {lines}))'
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, '-c', code], stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, 'error: the output was closed before its end\n')


def test_a_broken_pipe_of_something_else(capsys):
    def fail():
        raise BrokenPipeError('of a worker')

    with pytest.raises(BrokenPipeError):
        run_tool(fail)


@pytest.mark.parametrize('shown', ['', '1'])
def test_a_tool_as_users_run_it(shown, tmp_path):
    environment = dict(os.environ, DUALDISTILL_TRACEBACK=shown)
    command = [sys.executable, '-W', 'ignore', 'tools/misc/move_data_root.py', 'nowhere.py', '/data']
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and ('Traceback' in done.stderr) == bool(shown)
    if not shown:
        (line,) = done.stderr.splitlines()
        assert line.startswith('error: ') and 'nowhere.py' in line


WARNS = """
import logging, warnings
from dualdistill_cli import run_tool
logger = logging.getLogger('mmdet3d')
logger.addHandler(logging.FileHandler({log!r}))
def main():
    warnings.warn_explicit('two\\n  lines', RuntimeWarning, {file!r}, 12)
run_tool(main)
warnings.warn('after it')
"""


@pytest.mark.parametrize(
    'file, line',
    [
        (str(ROOT / 'tools' / 'train.py'), 'two lines'),
        ('/x/site-packages/other/part.py', 'two lines (RuntimeWarning of other/part.py:12)'),
    ],
)
def test_a_warning_is_one_line_and_stands_in_the_log(tmp_path, file, line):
    code = WARNS.format(log=str(tmp_path / 'run.log'), file=file)
    answers = [
        subprocess.run(
            [sys.executable, '-c', code], env={**os.environ, **more}, capture_output=True, text=True
        ).stderr.splitlines()
        for more in ({}, {'DUALDISTILL_TRACEBACK': '1'})
    ]
    assert answers[0] == [f'warning: {line}', '<string>:9: UserWarning: after it']
    assert answers[1][0] == f'{file}:12: RuntimeWarning: two'
    assert (tmp_path / 'run.log').read_text() == f'{line}\n'
