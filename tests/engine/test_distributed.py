"""Two processes, on one CPU or two GPUs: equal to one, through the wrapper and through the command-line scripts."""

import json
import os
import pickle
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from helpers.batch import make_batch
from helpers.distill_fakes import level_cfgs, write_teacher
from helpers.gradients import build, gradients_worker, step_gradients
from helpers.processes import BACKENDS, free_port, spawn_two
from helpers.toy_models import toy_bevdepth_cfg

from mmdet3d_plugin.engine import distributed, init_distributed, wrap_model


def distilled_cfg(folder):
    """A distilled toy with every kind of aligner and loss the method uses."""
    return dict(
        type='DualDistill',
        student=toy_bevdepth_cfg(),
        teacher=write_teacher(folder),
        levels=level_cfgs(),
        response=dict(type='CrossHeadBoxLoss', nms=dict(nms_type='rotate', nms_thr=0.2, post_max_size=83)),
    )


@pytest.mark.parametrize('backend', BACKENDS)
def test_two_processes_average_the_gradients_of_the_distilled_toy(tmp_path, backend, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', False)
    # sums of a GPU have no fixed order, and a ReLU at its kink makes much of that
    device, tolerance = ('cuda', 5e-2) if backend == 'nccl' else ('cpu', 1e-5)
    cfg = distilled_cfg(tmp_path)
    halves = [make_batch(batch_size=2, num_boxes=[5, 3], seed=0), make_batch(batch_size=2, num_boxes=[0, 4], seed=1)]
    spawn_two(gradients_worker, (2, free_port(), device, cfg, halves, str(tmp_path)), backend)
    both = [torch.load(tmp_path / f'rank{rank}.pth', weights_only=True) for rank in (0, 1)]

    single = [step_gradients(wrap_model(build(cfg), device, distributed=False), half) for half in halves]
    assert set(both[0]) == set(single[0]) and len(single[0]) > 50
    assert any(name.startswith('distill.aligners') for name in both[0])
    for name in single[0]:
        mean = (single[0][name] + single[1][name]) / 2
        scale = mean.abs().max().clamp(min=1e-3)  # smaller gradients are the rounding of larger ones
        assert torch.equal(both[0][name], both[1][name]), name
        assert (both[0][name] - mean).abs().max() < tolerance * scale, name
    assert any((single[0][name] - single[1][name]).abs().max() > 1e-3 for name in single[0])


@pytest.fixture
def script(repo_root):
    """Run one of tools/*.sh with the toy components importable; returns its output."""

    def run(name, *words, first_on_path=(Path(sys.executable).parent,)):
        path = os.pathsep.join([os.environ['PYTHONPATH'], str(repo_root / 'tests')])
        programs = os.pathsep.join([str(folder) for folder in first_on_path] + [os.environ['PATH']])
        env = dict(os.environ, PYTHONPATH=path, PATH=programs, PORT=str(free_port()), OMP_NUM_THREADS='1')
        env['CUDA_VISIBLE_DEVICES'] = ''  # two processes do not share a GPU
        done = subprocess.run(
            ['bash', str(repo_root / 'tools' / name), *map(str, words)],
            capture_output=True, text=True, env=env, timeout=300,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    return run


def test_dist_scripts_train_and_test_with_two_processes(script, toy_config, tmp_path):
    options = ['--cfg-options', 'runner.max_epochs=1', 'data.samples_per_gpu=3']
    status, output = script('dist_train.sh', toy_config, 2, '--work-dir', tmp_path / 'run', *options)
    assert status == 0, output
    assert 'effective batch size 6 = 2 process(es) x 3 sample(s) x 1 accumulated iteration(s)' in output
    log = next((tmp_path / 'run').glob('*.log.json')).read_text().splitlines()
    assert [json.loads(line).get('NDS') for line in log if '"val"' in line] == [0.5]

    out = tmp_path / 'predictions.pkl'
    words = [toy_config, tmp_path / 'run' / 'epoch_1.pth', 2, '--eval', 'bbox', '--out', out, '--work-dir', tmp_path]
    status, output = script('dist_test.sh', *words)
    assert status == 0, output
    assert [entry['index'] for entry in pickle.loads(out.read_bytes())] == ['token0', 'token1', 'token2']


@pytest.mark.parametrize('name', ['dist_train.sh', 'dist_test.sh', 'slurm_train.sh'])
def test_scripts_say_how_to_call_them(script, name):
    status, output = script(name)
    assert status == 2
    assert f'bash tools/{name} <' in output or f'bash tools/{name}' in output


def test_slurm_script_starts_one_torchrun_a_node(script, tmp_path, monkeypatch):
    tools = tmp_path / 'bin'
    tools.mkdir()
    (tools / 'srun').write_text('#!/bin/sh\nwhile [ "$1" != bash ]; do echo "srun: $1"; shift; done\nexec "$@"\n')
    (tools / 'scontrol').write_text('#!/bin/sh\necho node7; echo node8\n')
    (tools / 'python').write_text('#!/bin/sh\necho "python: $*"\n')
    for tool in tools.iterdir():
        tool.chmod(0o755)
    monkeypatch.setenv('NODES', '2')
    monkeypatch.setenv('GPUS_PER_NODE', '4')
    monkeypatch.setenv('SLURM_NODEID', '1')
    monkeypatch.setenv('SLURM_JOB_NODELIST', 'node[7-8]')
    config = tmp_path / 'config.py'
    config.touch()
    status, output = script('slurm_train.sh', 'gpu', 'job', config, '--seed', '3', first_on_path=[tools])
    assert status == 0, output
    assert 'srun: --nodes=2' in output and 'srun: --gres=gpu:4' in output
    assert '--nnodes=2 --node_rank=1 --master_addr=node7' in output and '--nproc_per_node=4' in output
    assert output.rstrip().endswith(f'train.py {config} --launcher pytorch --seed 3')


def test_a_gpu_that_mmcv_cannot_use_is_left_alone_and_said_once(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(distributed, 'get_compiling_cuda_version', lambda: 'not available')
    distributed._warn_of_unused_gpu.cache_clear()
    with pytest.warns(RuntimeWarning, match='compiled without CUDA operations.*scripts/setup.sh') as caught:
        assert [distributed.pick_device() for _ in range(3)] == ['cpu'] * 3
    assert len(caught) == 1
    monkeypatch.setattr(distributed, 'get_compiling_cuda_version', lambda: '12.8')
    assert distributed.pick_device() == 'cuda'
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert distributed.pick_device() == 'cpu'


def test_a_cpu_model_stays_on_the_cpu_whatever_torch_sees(monkeypatch):
    data_parallel = sys.modules['torch.nn.parallel.data_parallel']  # the package has a function of this name
    monkeypatch.setattr(data_parallel, '_get_available_device_type', lambda: 'cuda')
    wrapped = wrap_model(torch.nn.Linear(2, 1), 'cpu', distributed=False)
    assert wrapped(torch.ones(3, 2)).shape == (3, 1)
    assert wrapped.module.weight.device.type == 'cpu' and 'module.weight' in wrapped.state_dict()


@pytest.mark.parametrize('launcher', ['slurm', 'mpi'])
@pytest.mark.skipif(torch.cuda.is_available(), reason='these launchers are for GPUs')
def test_gpu_launchers_are_refused_without_a_gpu(launcher):
    with pytest.raises(ValueError, match='needs a GPU; start CPU processes with torchrun'):
        init_distributed(launcher, {})


@pytest.mark.skipif(torch.cuda.is_available(), reason='mmcv reports this itself on a GPU')
def test_torchrun_launcher_without_torchrun_is_explained(monkeypatch):
    monkeypatch.delenv('RANK', raising=False)
    with pytest.raises(ValueError, match='tools/dist_train.sh'):
        init_distributed('pytorch', {})


@pytest.mark.parametrize(
    'params, seconds', [({}, 7200), (dict(backend='nccl', timeout=60), 60), (dict(timeout=1.5), 1.5)]
)
def test_processes_wait_for_a_slow_one(monkeypatch, params, seconds):
    started, kept = [], dict(params)
    monkeypatch.setenv('RANK', '0')
    monkeypatch.setattr(distributed, 'pick_device', lambda: 'cpu')
    monkeypatch.setattr(distributed.dist, 'init_process_group', lambda **named: started.append(named))
    assert init_distributed('pytorch', params)
    assert started == [dict(backend='gloo', timeout=timedelta(seconds=seconds))] and params == kept


@pytest.mark.parametrize('launcher', ['pytorch', 'mpi', 'slurm'])
def test_the_timeout_of_gpu_processes(monkeypatch, launcher):
    started, after = [], []
    monkeypatch.setattr(distributed, 'pick_device', lambda: 'cuda')
    monkeypatch.setattr(distributed, 'init_dist', lambda launcher, **named: started.append((launcher, named)))
    monkeypatch.setattr(distributed.dist.distributed_c10d, '_set_pg_timeout', after.append)
    assert init_distributed(launcher, dict(backend='nccl', timeout=90))
    limit = timedelta(seconds=90)
    if launcher == 'slurm':  # mmcv's own start takes none
        assert started == [(launcher, dict(backend='nccl'))] and after == [limit]
    else:
        assert started == [(launcher, dict(backend='nccl', timeout=limit))] and after == []


@pytest.mark.parametrize('timeout', [0, -1, 'long', True, None])
def test_a_timeout_that_is_no_time_is_named(timeout):
    with pytest.raises(ValueError, match=r'dist_params.timeout: takes a positive number of seconds, got'):
        init_distributed('pytorch', dict(timeout=timeout))
