"""For which device scripts/setup.sh compiles mmcv-full, and how, with an interpreter that answers what a test says."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from helpers.signals import hear_signals

# Answers with the first (part of the command line, exit status, text); writes pip's commands and their variables down.
STAND_IN = """
import json, os, pathlib, sys
here, line = pathlib.Path(__file__).parent, ' '.join(sys.argv[1:])
if ' pip ' in line:
    names = ('FORCE_CUDA', 'TORCH_CUDA_ARCH_LIST', 'CUDA_HOME')
    with open(here / 'record.jsonl', 'a') as file:
        file.write(json.dumps([line, {name: os.environ.get(name) for name in names}]) + '\\n')
if ' pip wheel ' in line:
    folder = pathlib.Path(sys.argv[sys.argv.index('-w') + 1])
    folder.mkdir(parents=True)
    (folder / 'mmcv_full-1.7.2-cp311-any.whl').touch()
if ' pip install ' in line and 'mmcv' in line:
    (here / 'installed').touch()
if line in ('- 1.7.2 cpu', '- 1.7.2 cuda', '- 99.2 cpu'):  # mmcv-full is tried
    sys.exit(not (here / 'installed').exists())
if line == '-':  # what the script reads with the interpreter's help is read
    program = sys.stdin.read()
    if 'requirements/torch.txt' in program:
        exec(program)
for part, status, text in json.loads((here / 'answers.json').read_text()):
    if part in line:
        print(text, file=sys.stderr if status else sys.stdout)
        sys.exit(status)
"""


COMPILED = shutil.ignore_patterns('compiled', '__pycache__')
LIST = '7.5;8.0;9.0+PTX'
TORCH = '2.13.0' if sys.version_info >= (3, 10) else '2.8.0'  # of requirements/torch.txt


class Machine:
    """A copy of the scripts beside an interpreter that pretends."""

    def __init__(self, root, repo_root):
        self.root, self.state = root / 'clone', root / 'clone' / '.venv' / '.dualdistill'
        self.home = root
        for folder in ('scripts', 'requirements'):
            shutil.copytree(repo_root / folder, self.root / folder)
        shutil.copytree(repo_root / 'mmdet3d_plugin/ops', self.root / 'mmdet3d_plugin/ops', ignore=COMPILED)
        for file in ('mmdet3d_plugin/compat.py', 'setup.py'):
            shutil.copy(repo_root / file, self.root / file)
        self.state.mkdir(parents=True)
        (root / 'stand_in.py').write_text(STAND_IN)
        self.program(
            'clone/.venv/bin/python',
            f'[ "$*" = - ] || fast=-S; exec "{sys.executable}" -I $fast "{root}/stand_in.py" "$@"',
        )
        self.program('cuda/bin/nvcc', 'echo "Cuda compilation tools, release 13.0, V13.0.88"')
        (self.root / '.venv/bin/activate').write_text(f'VIRTUAL_ENV="{self.root}/.venv"\n')
        (root / 'Python.h').touch()

    def program(self, path, body):
        path = self.home / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'#!/bin/sh\n{body}\n')
        path.chmod(0o755)

    def answer(self, settings='', obstacle='', cuda_of_torch='13'):
        (self.home / 'answers.json').write_text(
            json.dumps(
                [
                    ('cuda_toolkit.py', 1 if obstacle else 0, obstacle or settings),
                    ('torch.version.cuda', 0, cuda_of_torch),
                    ('"cp%d%d"', 0, 'cp311'),
                    ('"py%d%d"', 0, 'py311'),
                    ("m.version('torch')", 0, '2.13.0'),
                    ('sysconfig', 0, str(self.home)),
                ]
            )
        )

    def start(self, **env):
        env = {'CUDA_HOME': str(self.home / 'cuda'), 'DUALDISTILL_WHEELS': str(self.home), 'CXX': 'true', **env}
        left_out = ('DUALDISTILL_', 'TORCH_', 'CUDA_', 'FORCE_')
        env = {**{key: value for key, value in os.environ.items() if not key.startswith(left_out)}, **env}
        words = ['bash', str(self.root / 'scripts' / 'setup.sh')]
        pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return subprocess.Popen(words, env=env, preexec_fn=hear_signals, **pipes)

    def set_up(self, **env):
        """Returns exit status, output and pip's commands with their variables."""
        process = self.start(**env)
        output = process.communicate(timeout=60)[0]
        record = self.home / 'record.jsonl'
        commands = [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
        record.unlink(missing_ok=True)
        return process.returncode, output, commands


@pytest.fixture
def machine(tmp_path, repo_root):
    return Machine(tmp_path, repo_root)


def builds(commands):
    return [variables for line, variables in commands if ' pip wheel ' in line]


def test_without_a_gpu_the_list_is_said_and_compiled_for(machine):
    machine.answer(settings=f'CUDA_HOME=/opt/cuda-13.0\nTORCH_CUDA_ARCH_LIST={LIST}')
    status, output, commands = machine.set_up()
    assert status == 0, output
    assert builds(commands) == [{'FORCE_CUDA': '1', 'TORCH_CUDA_ARCH_LIST': LIST, 'CUDA_HOME': '/opt/cuda-13.0'}]
    assert (
        f"no GPU is seen: compiling for torch's own architectures, {LIST}. TORCH_CUDA_ARCH_LIST names others" in output
    )
    assert (machine.state / 'mmcv').read_text() == 'torch2.13.0-cuda-py311-7.5_8.0_9.0+PTX\n'
    # what was done is known the next time, although the list was not the user's
    assert machine.set_up() == (0, '', [])


def test_a_list_of_the_user_is_not_commented(machine):
    machine.answer(settings='CUDA_HOME=/opt/cuda-13.0\nTORCH_CUDA_ARCH_LIST=8.0')
    status, output, commands = machine.set_up(TORCH_CUDA_ARCH_LIST='8.0')
    assert status == 0 and 'no GPU is seen' not in output
    assert builds(commands)[0]['TORCH_CUDA_ARCH_LIST'] == '8.0'


def test_cpu_leaves_cuda_out(machine):
    machine.answer(settings=f'TORCH_CUDA_ARCH_LIST={LIST}')
    status, output, commands = machine.set_up(DUALDISTILL_DEVICE='cpu')
    assert status == 0 and builds(commands)[0]['FORCE_CUDA'] == '0'
    assert (machine.state / 'mmcv').read_text() == 'torch2.13.0-cpu-py311\n'


@pytest.mark.parametrize('cuda_of_torch, said', [('13', True), ('', False)])
def test_what_is_in_the_way_of_cuda_is_said_or_refused(machine, cuda_of_torch, said):
    machine.answer(obstacle='W a remark of torch\nno toolkit fits', cuda_of_torch=cuda_of_torch)
    status, output, commands = machine.set_up()
    assert status == 0 and builds(commands)[0]['FORCE_CUDA'] == '0'
    assert ('] no toolkit fits: mmcv-full gets CPU operations only' in output) == said
    machine.answer(obstacle='no toolkit fits', cuda_of_torch='13')
    status, output, commands = machine.set_up(DUALDISTILL_DEVICE='cuda')
    assert status == 1 and 'FAILED: DUALDISTILL_DEVICE=cuda, but no toolkit fits' in output and not builds(commands)


@pytest.mark.parametrize('wanted', ['', '2.7.1'])
def test_the_pins_are_those_of_the_requirements(machine, wanted):
    """No second copy in the script: other pins in the files, other versions installed."""
    for name, old, new in (('torch.txt', f'=={TORCH}', '==99.1'), ('mmcv.txt', '==1.7.2', '==99.2')):
        file = machine.root / 'requirements' / name
        file.write_text(file.read_text().replace(old, new))
    machine.answer(obstacle='none', cuda_of_torch='')
    status, output, commands = machine.set_up(DUALDISTILL_TORCH=wanted)
    assert status == 0, output
    assert f'installing torch {wanted or "99.1"}\n' in output and 'compiling mmcv-full 99.2 for' in output
    assert any(f' torch=={wanted or "99.1"}' in line for line, _ in commands)
    assert all(line.endswith('-r requirements/mmcv.txt') for line, _ in commands if ' pip wheel ' in line)


def test_cuda_without_any_toolkit_is_refused_before_the_downloads(machine):
    machine.answer()
    machine.program('bin/nvcc', 'exit 127')
    status, output, commands = machine.set_up(
        DUALDISTILL_DEVICE='cuda', CUDA_HOME='', PATH=f'{machine.home}/bin:{os.environ["PATH"]}'
    )
    assert status == 1 and 'DUALDISTILL_DEVICE=cuda, but there is no CUDA toolkit' in output and commands == []


def test_cuda_replaces_a_torch_for_the_cpu(machine):
    machine.answer(obstacle='this torch is built without CUDA', cuda_of_torch='')
    status, output, commands = machine.set_up(DUALDISTILL_DEVICE='cuda')
    lines = [line for line, _ in commands]
    assert '-m pip uninstall -y torch' in lines and status == 1
    assert any(line.endswith(f' torch=={TORCH}') for line in lines), 'PyPI alone: its wheels are built for CUDA'


def test_a_toolkit_that_comes_later_is_noticed(machine):
    machine.answer(obstacle='the toolkit is not one for CUDA 13')
    machine.program('cuda/bin/nvcc', 'echo "Cuda compilation tools, release 12.6, V12.6.1"')
    assert machine.set_up()[0] == 0
    assert machine.set_up() == (0, '', [])
    machine.program('cuda/bin/nvcc', 'echo "Cuda compilation tools, release 13.0, V13.0.88"')
    machine.answer(settings='CUDA_HOME=/opt/cuda-13.0')
    status, output, commands = machine.set_up()
    assert status == 0 and builds(commands)[0]['FORCE_CUDA'] == '1'
    assert machine.set_up() == (0, '', [])


@pytest.mark.parametrize(
    'folder, installed',
    [('wheels/torch2.13.0-cpu-py311', 1), ('wheels/torch2.8.0-cpu-py311', 0), ('wheels', 1)],
)
def test_a_wheel_for_another_torch_is_not_handed_on(machine, folder, installed):
    wheels = machine.home / folder
    wheels.mkdir(parents=True)
    (wheels / 'mmcv_full-1.7.2-cp311-cp311-linux_x86_64.whl').touch()
    machine.answer(obstacle='none', cuda_of_torch='')
    status, output, commands = machine.set_up(DUALDISTILL_WHEELS=str(machine.home / 'wheels'))
    assert status == 0, output
    assert len(builds(commands)) == 1 - installed
    handed = [line for line, _ in commands if '--no-index' in line]
    assert len(handed) == installed and all(f'--find-links {wheels}' in line for line in handed)


@pytest.mark.parametrize('kind', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize('deaf', ['', "trap '' INT; "])
def test_whoever_stops_the_set_up_stops_the_compiler_too(machine, kind, deaf):
    body = f'{deaf}echo $$ >"{machine.home}/pid"; exec sleep 60'
    machine.program('clone/.venv/bin/python', f'case "$*" in *"-r requirements/build.txt"*) {body} ;; esac')
    process = machine.start(CXX='true')
    while not (machine.home / 'pid').exists() or not (machine.home / 'pid').read_text():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(kind)
    assert process.wait(timeout=20) == 130
    assert 'interrupted; run this script again to go on from here' in process.stdout.read()
    with pytest.raises(ProcessLookupError):
        for _ in range(100):
            os.kill(int((machine.home / 'pid').read_text()), 0)
            time.sleep(0.05)


def test_two_set_ups_at_a_time_do_the_work_once(machine):
    machine.answer(obstacle='none', cuda_of_torch='')
    with open(machine.root / 'scripts' / 'setup.sh') as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        both = [machine.start(), machine.start()]
        for process in both:
            assert process.stdout.readline().endswith('] another set-up works in this folder: waiting for it\n')
    outputs = [process.stdout.read() for process in both]
    assert [process.wait(timeout=60) for process in both] == [0, 0], outputs
    assert sorted('compiling mmcv-full' in output for output in outputs) == [False, True] and '' in outputs
