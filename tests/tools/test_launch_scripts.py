"""The shell scripts of the distillation paths print and start the right commands."""

import os
import subprocess

import pytest

SCRIPT = 'scripts/teacher_to_bevdepth4d/centerpoint2bevdepth.sh'
FOLDER = 'configs/lidar2camera_bev_distillation/teacher_to_bevdepth4d'


@pytest.fixture
def launch(repo_root, tmp_path):
    """Run the script with a python that only echoes; returns exit status and lines of output."""
    python = tmp_path / 'bin' / 'python'
    python.parent.mkdir()
    python.write_text('#!/bin/sh\necho "python: $*"\n')
    python.chmod(0o755)

    def run(*words, **env):
        env = dict(os.environ, PATH=f'{python.parent}{os.pathsep}{os.environ["PATH"]}', VIRTUAL_ENV='active', **env)
        done = subprocess.run(['bash', SCRIPT, *words], cwd=repo_root, env=env, capture_output=True, text=True)
        return done.returncode, (done.stdout + done.stderr).splitlines()

    return run


def test_defaults_train_then_test(launch, repo_root):
    status, lines = launch(GPUS='3')
    assert status == 0
    commands = [line for line in lines if line.startswith('python: ')]
    config, work_dir = (
        f'{FOLDER}/centerpoint_to_bevdepth4d_r50_256x704.py',
        'outputs/centerpoint_to_bevdepth4d_r50_256x704',
    )
    assert (repo_root / config).is_file()
    assert '--nproc_per_node=3' in commands[0]
    assert commands[0].endswith(f'train.py {config} --launcher pytorch --work-dir {work_dir} --auto-resume')
    assert commands[1].endswith(
        f'test.py {config} {work_dir}/latest.pth --launcher pytorch --work-dir {work_dir}/eval --eval bbox'
    )


def test_teacher_and_overrides_share_one_list(launch, tmp_path):
    teacher = tmp_path / 'teacher.pth'
    teacher.touch()
    _, lines = launch('--seed', '1', GPUS='1', TEACHER_CKPT=str(teacher), WORK_DIR='w')
    assert any(
        line.endswith(f'--auto-resume --seed 1 --cfg-options model.teacher.checkpoint={teacher}') for line in lines
    )

    _, lines = launch(
        '--cfg-options', 'optimizer.lr=1', '--seed', '1', GPUS='1', TEACHER_CKPT=str(teacher), WORK_DIR='w'
    )
    expected = f'--auto-resume --cfg-options model.teacher.checkpoint={teacher} optimizer.lr=1 --seed 1'
    assert any(line.endswith(expected) for line in lines)


def test_a_missing_teacher_is_said_at_once(launch):
    status, lines = launch(GPUS='1', TEACHER_CKPT='nowhere.pth')
    assert status == 1
    assert 'TEACHER_CKPT=nowhere.pth does not exist' in lines[0]
    assert not any(line.startswith('python') for line in lines)
