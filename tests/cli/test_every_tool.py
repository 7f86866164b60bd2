"""Every tool answers --help, a typographic dash and a wrong flag before it imports anything heavy."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / 'tools').rglob('*.py') if '__main__' in path.read_text())
# runs a tool as `python tool words` would, in a process that cannot import what takes long
RUN = """
import os, runpy, sys
heavy = {'torch', 'mmcv', 'mmdet', 'mmseg', 'mmdet3d', 'mmdet3d_plugin', 'nuscenes', 'numpy', 'numba', 'scipy', 'cv2',
         'PIL', 'matplotlib', 'pandas', 'yaml', 'tqdm'}
class Forbidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in heavy:
            raise AssertionError(f'{name} is imported')
sys.meta_path.insert(0, Forbidden())
sys.argv = sys.argv[1:]
sys.path[0] = os.path.dirname(sys.argv[0])
runpy.run_path(sys.argv[0], run_name='__main__')
"""


def run(*words):
    environment = dict(os.environ, PYTHONIOENCODING='utf-8')
    command = [sys.executable, '-c', RUN, *words]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, encoding='utf-8')


def test_all_tools_are_found():
    assert len(TOOLS) >= 23 and {'tools/train.py', 'tools/misc/print_config.py'} <= set(TOOLS)


@pytest.mark.parametrize('tool', TOOLS)
def test_help_by_a_typographic_dash(tool):
    done = run(tool, '–help')
    assert done.returncode == 0, done.stderr
    assert done.stderr == 'read –help as --help (a typographic dash)\n'
    first_line = (ROOT / tool).read_text().split('"""')[1].split('\n')[0]
    assert done.stdout.startswith(f'usage: {Path(tool).name}') and first_line in done.stdout


@pytest.mark.parametrize(
    'words, missing',
    [
        (('tools/train.py', 'no/config.py'), 'no/config.py'),
        (('tools/test.py', 'no/config.py', 'x.pth', '--eval', 'bbox'), 'no/config.py'),
        (('tools/test.py', 'configs/quickstart/mvp_toy.py', 'no/x.pth', '--eval', 'bbox'), 'no/x.pth'),
    ],
)
def test_a_missing_file(words, missing):
    done = run(*words)
    assert done.returncode == 1
    assert done.stderr == f'error: no file {missing} (DUALDISTILL_TRACEBACK=1 shows where)\n'


@pytest.mark.parametrize('tool', TOOLS)
def test_a_wrong_flag(tool):
    done = run(tool, '--no-such-flag')
    assert done.returncode == 2 and 'Traceback' not in done.stderr
    assert f'{Path(tool).name}' in done.stderr.splitlines()[-1] and ': error: ' in done.stderr.splitlines()[-1]
