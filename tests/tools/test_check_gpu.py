"""tools/check_gpu.py: its steps, what becomes of one that fails, the refusal without a GPU, and a short rehearsal."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

PRINT = "import sys; print('hello')"


@pytest.fixture
def module(repo_root, monkeypatch):
    """Function: name -> module of tools/."""
    monkeypatch.syspath_prepend(str(repo_root / 'tools'))
    return importlib.import_module


@pytest.fixture
def check(module, tmp_path):
    """Function: Python code, a result file or None, words for the check -> Outcome of running it."""
    kinds = module('gpu_check.check')

    def run(code, result=None, **words):
        path = tmp_path / 'result.json'
        if result is not None:
            count = module('gpu_check.results').of_agreement
            words.update(count=lambda: count(path), results=(path,))
        one = kinds.Check('one', 'one check', ('python', '-c', code, str(path)), **words)
        return one.run(tmp_path / 'logs' / 'one.log', '[1/1]', {})

    return run


def agreement(**failures):
    """Code that writes what compare_devices.py writes."""
    content = json.dumps(dict(precisions={name: dict(failures=found) for name, found in failures.items()}, table=[]))
    return f'import sys; open(sys.argv[1], "w").write({content!r})'


def test_a_command_that_ends_well_is_one_check(check, tmp_path, capsys):
    outcome = check(PRINT)
    assert (outcome.status, outcome.found.passed, outcome.reason) == ('passed', 1, '')
    assert (tmp_path / 'logs' / 'one.log').read_text() == 'hello\n'
    assert re.search(r'^\[1/1\] one check  1 passed in \d+:\d\d$', capsys.readouterr().out, re.M)


def test_results_are_counted_and_the_first_failure_is_named(check):
    assert check(agreement(fp32=[], bf16=[]), result=True).found.passed == 2
    outcome = check(agreement(fp32=['the gradient differs by 1'], bf16=[]) + '; sys.exit(1)', result=True)
    assert outcome.status == 'failed' and outcome.found.passed == 1
    assert outcome.found.failed == ('fp32: the gradient differs by 1',) and 'one.log' in outcome.reason


@pytest.mark.parametrize(
    'code, reason',
    [
        ("raise ValueError('no kernel image')", 'exit status 1: ValueError: no kernel image'),
        (PRINT, 'no result: '),  # the file of the run before must not be taken for this one's
        (agreement(), 'nothing was checked'),
        ('import os; os.abort()', 'exit status -6'),
    ],
)
def test_what_leaves_no_result_has_failed(check, code, reason):
    check(agreement(fp32=[]), result=True)
    outcome = check(code, result=True)
    assert outcome.status == 'failed' and outcome.reason.startswith(reason) and len(outcome.found.failed) == 1


def test_a_command_that_fails_after_good_results_has_failed(check):
    outcome = check(agreement(fp32=[]) + '; sys.exit(3)', result=True)
    assert (outcome.status, outcome.found.passed, outcome.found.failed) == ('failed', 1, ('exit status 3',))


def test_a_command_that_hangs_is_stopped(check):
    outcome = check('import time; time.sleep(600)', limit=0.1)
    assert outcome.status == 'failed' and outcome.reason.startswith('stopped after') and outcome.seconds < 300


def test_a_skipped_check_runs_nothing_and_says_why(check, tmp_path, capsys):
    outcome = check(PRINT, skipped='one device')
    assert (outcome.status, outcome.found.passed) == ('skipped', 0) and not (tmp_path / 'logs').exists()
    assert '[1/1] one check  skipped: one device' in capsys.readouterr().out


@pytest.fixture
def machine(module):
    """Function: device -> Machine."""
    numbers = ('9.0', 1, '2.13.0', '13.0', '13.0')
    return lambda device: module('gpu_check.machine').Machine(device, 'H1' if device == 'cuda' else '', *numbers)


@pytest.fixture
def outcome(module):
    """Function: name, passed, failed ones, status -> Outcome."""
    kinds = module('gpu_check.check')

    def make(name, passed, failed=(), status='passed', reason=''):
        return kinds.Outcome(name, name.title(), status, kinds.Found(passed, tuple(failed)), 2.0, reason)

    return make


def test_one_line_says_it_all(module, machine, outcome):
    verdict = module('gpu_check.report').verdict
    good, bad = outcome('kernels', 5), outcome('resume', 1, ['a', 'b'], 'failed')
    skipped = outcome('processes', 0, status='skipped', reason='one device')
    expected = 'PASS: 5 checks on H1; torch 2.13.0, CUDA 13.0; 1:05 min; skipped: processes'
    assert verdict([good, skipped], machine('cuda'), 65) == (True, expected)
    expected = 'FAIL: 2 of 8 checks failed on H1; torch 2.13.0, CUDA 13.0; 1:05 min; failed: resume'
    assert verdict([good, bad], machine('cuda'), 65) == (False, expected)
    assert verdict([good], machine('cuda'), 65, partial=True)[1].endswith('; only a part of the checks')
    assert verdict([skipped], machine('cuda'), 1)[0] is False  # nothing ran


def test_a_rehearsal_claims_nothing_of_a_gpu(module, machine, outcome):
    passed, line = module('gpu_check.report').verdict([outcome('kernels', 5)], machine('cpu'), 65)
    assert passed and line == (
        'REHEARSAL PASS: 5 checks on a CPU; torch 2.13.0; 1:05 min; this says nothing about a GPU'
    )  # fmt: skip


@pytest.fixture
def plan(module, tmp_path):
    """Function: device, GPUs -> checks by name."""
    return lambda device, gpus=1: {
        one.name: one for one in module('gpu_check.plan').make_plan(device, tmp_path, gpus)
    }  # fmt: skip


def test_two_devices_are_needed_for_nccl_and_nothing_else_is_left_out_on_a_gpu(plan, module):
    for gpus in (1, 2):
        checks = plan('cuda', gpus)
        assert tuple(checks) == module('gpu_check.plan').NAMES
        assert {name: one.skipped for name, one in checks.items() if one.skipped} == (
            {'processes': 'one device'} if gpus == 1 else {}
        )
    assert {name for name, one in plan('cpu').items() if one.skipped} == {'time_step_bevformer'}


@pytest.mark.parametrize('device', ['cuda', 'cpu'])
def test_commands_have_words_that_their_programs_know(plan, repo_root, device, monkeypatch):
    monkeypatch.syspath_prepend(str(repo_root / 'tools' / 'analysis_tools'))
    for one in plan(device).values():
        files = [word for word in one.command if re.search(r'/.*\.py$', word)]
        assert all((repo_root / file).is_file() for file in files), one.command
        for tool in ('benchmark', 'compare_devices'):
            if f'tools/analysis_tools/{tool}.py' in one.command:
                words = one.command[one.command.index(f'tools/analysis_tools/{tool}.py') + 1 :]
                args = importlib.import_module(tool).parse_args(list(words))
                assert args.device == device and args.out in one.results


def test_every_test_for_a_gpu_belongs_to_a_check(module, repo_root):
    plan = module('gpu_check.plan')
    known = (*plan.KERNEL_TESTS, plan.RESUME_TESTS, plan.PROCESS_TESTS, plan.BENCHMARK_TESTS)
    marked = [
        path.relative_to(repo_root).as_posix()
        for path in (repo_root / 'tests').rglob('test_*.py')
        if re.search(r'pytest\.mark\.gpu\b', path.read_text()) and path.name != Path(__file__).name
    ]
    assert len(marked) >= 8 and [file for file in marked if not file.startswith(known)] == []


@pytest.fixture
def tool(module, monkeypatch, machine):
    """tools/check_gpu.py as a module."""
    tool = module('check_gpu')
    monkeypatch.setattr(tool, 'examine', machine)
    return tool


def test_a_step_that_fails_does_not_stop_the_others(tool, module, monkeypatch, tmp_path, capsys):
    kinds = module('gpu_check.check')

    def three(device, out_dir, num_devices):
        codes = dict(first='raise SystemExit(1)', second=PRINT, third=PRINT)
        return [kinds.Check(name, name, ('python', '-c', code)) for name, code in codes.items()]

    monkeypatch.setattr(tool, 'make_plan', three)
    assert tool.main(['--out-dir', str(tmp_path)]) == 1
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith('FAIL: 1 of 3 checks failed on H1; ') and line.endswith('; failed: first')
    content = json.loads((tmp_path / 'check_gpu.json').read_text())
    assert (content['passed'], content['checks'], content['failed']) == (False, 3, 1)
    assert [one['status'] for one in content['steps']] == ['failed', 'passed', 'passed']
    assert content['verdict'] == line and content['machine']['capability'] == '9.0'
    assert line in (tmp_path / 'check_gpu.md').read_text() and not (tmp_path / 'timings.md').exists()
    assert sorted(path.name for path in (tmp_path / 'logs').iterdir()) == ['first.log', 'second.log', 'third.log']


@pytest.mark.parametrize(
    'cuda, available, mmcv, message',
    [
        (
            None,
            False,
            'not available',
            r'torch \S+ is built without CUDA.*DUALDISTILL_DEVICE=cuda bash scripts/setup.sh',
        ),
        ('13.0', False, '13.0', r'sees no GPU \(CUDA_VISIBLE_DEVICES is "7"\). See whether nvidia-smi lists one'),
        ('13.0', True, 'not available', 'mmcv-full was compiled without CUDA operations. Put nvcc of CUDA 13.0 on'),
    ],
)
def test_without_a_gpu_there_is_one_clear_error(module, monkeypatch, cuda, available, mmcv, message):
    machine = module('gpu_check.machine')
    fake = SimpleNamespace(is_available=lambda: available, device_count=lambda: 0)
    stand_in = SimpleNamespace(__version__='2.13.0', version=SimpleNamespace(cuda=cuda), cuda=fake)
    monkeypatch.setattr(machine, 'torch', stand_in)
    monkeypatch.setattr(machine, 'get_compiling_cuda_version', lambda: mmcv)
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '7')
    with pytest.raises(ValueError, match=f'^no GPU can be checked: .*{message}.*--device cpu$') as error:
        machine.look_at('cuda')
    assert '\n' not in str(error.value)
    assert machine.look_at('cpu').name == ''


def test_a_short_rehearsal(tmp_path, run_words):
    status, output = run_words('--only', 'agreement_centerpoint', 'time_sparse')
    assert status == 0, output
    line = output.splitlines()[-1]
    start = r'REHEARSAL PASS: 4 checks on a CPU; torch \S+; \d+:\d\d min; only a part of the checks; '
    assert re.match(start, line), line
    report, timings = (tmp_path / 'check_gpu.md').read_text(), (tmp_path / 'timings.md').read_text()
    assert '| pts_voxel_encoder |' in report and line in report
    assert 'these times mean nothing' in timings and '<!-- table sparse_cpu/submanifold -->' in timings
    assert timings.count('<!-- end of table -->') == 2
    assert json.loads((tmp_path / 'sparse_cpu.json').read_text())['tiny']


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
def test_the_tool_refuses_a_machine_without_a_gpu(tmp_path, run_words):
    status, output = run_words(device='cuda')
    assert status == 1 and not (tmp_path / 'logs').exists()
    assert output.startswith('error: no GPU can be checked: ') and len(output.splitlines()) == 1


@pytest.fixture
def run_words(repo_root, tmp_path):
    """Function: flags -> exit status and output of tools/check_gpu.py in a process of its own."""

    def run(*words, device='cpu'):
        command = [sys.executable, '-W', 'ignore', str(repo_root / 'tools' / 'check_gpu.py'), '--device', device]
        done = subprocess.run(
            [*command, '--out-dir', str(tmp_path), *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        return done.returncode, done.stdout

    return run
