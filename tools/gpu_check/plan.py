"""What is checked on a GPU, and what of it is rehearsed on a CPU."""

from __future__ import annotations

import functools
from pathlib import Path

from . import results
from .check import Check

# Where tests marked `gpu` are, which a test keeps complete, but for those that are checks of their own.
KERNEL_TESTS = (
    'tests/ops',
    'tests/models/bev_transformer/test_deformable_sampling.py',
    'tests/distill/test_gpu_step.py',
    'tests/test_compat.py',
)
CPU_KERNEL_TESTS = (
    *(f'tests/ops/test_{name}.py' for name in ('bev_pool', 'bev_pool_cpp', 'mmcv_ops', 'scatter')),
    *(f'tests/ops/test_{name}.py' for name in ('sparse_conv', 'sparse_conv_cpp')),
    KERNEL_TESTS[1],
)
RESUME_TESTS = 'tests/engine/test_resume_exact.py'
PROCESS_TESTS = 'tests/engine/test_distributed.py'
BENCHMARK_TESTS = 'tests/tools/test_benchmark.py'

FAMILIES = {
    'bevdepth4d': ('configs/quickstart/dualdistill_toy.py', 'CenterPoint teaches BEVDepth4D', 2),
    'bevformer': ('configs/quickstart/lidarformer_to_bevformer_toy.py', 'LidarFormer teaches BEVFormer', 1),
    'centerpoint': ('configs/quickstart/centerpoint_toy.py', 'CenterPoint', 2),
    'lidarformer': ('configs/quickstart/lidarformer_toy.py', 'LidarFormer', 2),
}  # config, title, samples

_DISTILL = 'configs/lidar2camera_bev_distillation'
_R50 = f'{_DISTILL}/teacher_to_bevdepth4d/centerpoint_to_bevdepth4d_r50_256x704.py'
_BEVFORMER = f'{_DISTILL}/teacher_to_bevformer/lidarformer_to_bevformer_nus_1x1conv_r50.py'
_TOY = FAMILIES['bevdepth4d'][0]
_FEW_POINTS = ('--points', '8000', '--boxes', '10')
# name -> title, words on a GPU, words on a CPU (None: it would take minutes)
TIMINGS = {
    'ops': ('operators', ('ops', '--rounds', '21'), ('ops', '--tiny', '--rounds', '2')),
    'attention': ('attention', ('attention', '--rounds', '5'), ('attention', '--tiny', '--rounds', '2')),
    'sparse': ('sparse convolution', ('sparse', '--rounds', '11'), ('sparse', '--tiny', '--rounds', '2')),
    'step_bevdepth4d': (
        'distilled step of BEVDepth4D',
        ('step', _R50, '--precision', 'fp32', 'bf16', '--batch', '1', '4', '--rounds', '5'),
        ('step', _TOY, *_FEW_POINTS, '--rounds', '2'),
    ),
    'step_bevformer': (
        'distilled step of BEVFormer',
        ('step', _BEVFORMER, '--precision', 'fp32', 'bf16', '--rounds', '3'),
        None,
    ),
    'inference': (
        'inference of BEVDepth4D',
        ('inference', _R50, '--precision', 'fp32', 'fp16', 'bf16', '--rounds', '11'),
        ('inference', _TOY, *_FEW_POINTS, '--rounds', '2'),
    ),
}

NAMES = (
    *('operators', 'kernels', *(f'agreement_{name}' for name in FAMILIES), 'resume', 'processes'),
    *(f'time_{name}' for name in TIMINGS),
)


def make_plan(device: str, out_dir: Path, num_devices: int) -> list[Check]:
    """All checks in running order.

    Args:
        device: 'cuda', or 'cpu' for the rehearsal.
        out_dir: gets what the commands write.
        num_devices: GPUs that torch sees.
    """
    on_gpu = device == 'cuda'
    build = 'mmdet3d_plugin/ops/build_extension.py'
    kinds = ('cpp', 'cuda') if on_gpu else ('cpp',)
    return [
        Check('operators', 'build the operators', ('python', build, *kinds)),
        _tests('kernels', 'kernels against their references', KERNEL_TESTS if on_gpu else CPU_KERNEL_TESTS,
               'gpu and not slow' if on_gpu else 'not gpu and not slow', out_dir),
        *(_step(name, device, out_dir) for name in FAMILIES),
        _tests('resume', 'exact resume', (RESUME_TESTS,), 'not slow', out_dir,
               words=('-k', 'not two_processes' if on_gpu else 'survives or half_accumulated')),
        _processes(on_gpu, out_dir, num_devices),
        *(_timing(name, device, out_dir) for name in TIMINGS),
    ]  # fmt: skip


def _tests(name, title, files, marks, out_dir, skipped='', words=()):
    junit = out_dir / f'{name}.xml'
    command = ('python', '-W', 'ignore', '-m', 'pytest', '-q', '-o', 'console_output_style=count', '-m', marks, *words)
    command += (f'--junitxml={junit}', *files)
    return Check(name, title, command, functools.partial(results.of_tests, junit), (junit,), skipped)


def _step(name, device, out_dir):
    """A training step held against the CPU. A CPU is too slow in fp16, and has no kernels of its own for it."""
    config, title, samples = FAMILIES[name]
    report = out_dir / f'agreement_{name}.json'
    precisions = ('fp32', 'fp16', 'bf16') if device == 'cuda' else ('fp32', 'bf16')
    words = ('--device', device, '--batch', str(samples), '--precision', *precisions, '--out', str(report))
    command = ('python', '-W', 'ignore', 'tools/analysis_tools/compare_devices.py', config, *words)
    count = functools.partial(results.of_agreement, report)
    return Check(f'agreement_{name}', f'training step, {title}', command, count, (report,))


def _processes(on_gpu, out_dir, num_devices):
    if not on_gpu:
        words = ('-k', 'two_processes_average')
        return _tests('processes', 'two processes over gloo', (PROCESS_TESTS,), 'not gpu', out_dir, words=words)
    files, skipped = (PROCESS_TESTS, RESUME_TESTS), '' if num_devices > 1 else 'one device'
    return _tests('processes', 'two processes over NCCL', files, 'gpu', out_dir, skipped, ('-k', 'two_processes'))


def _timing(name, device, out_dir):
    title, on_gpu, on_cpu = TIMINGS[name]
    report = out_dir / f'{name}_{device}.json'
    left_out = device == 'cpu' and on_cpu is None
    words = on_gpu if device == 'cuda' or left_out else on_cpu
    command = ('python', '-W', 'ignore', 'tools/analysis_tools/benchmark.py', *words)
    command += ('--device', device, '--out', str(report))
    count = functools.partial(results.of_benchmark, report)
    skipped = 'takes minutes on a CPU' if left_out else ''
    return Check(f'time_{name}', f'time of {title}', command, count, (report,), skipped)
