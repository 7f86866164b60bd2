"""The shell scripts of the distillation paths print and start the right commands."""

import os
import subprocess
import sys

import pytest

FOLDER = 'configs/lidar2camera_bev_distillation/teacher_to_bevdepth4d'
R50, R101 = f'{FOLDER}/centerpoint_to_bevdepth4d_r50_256x704.py', f'{FOLDER}/centerpoint_to_bevdepth4d_r101_512x1408.py'
MVP = 'configs/mvp/mvp_pillar02_dynamic_cbgs_20e_nus.py'
SCRIPTS = {
    'scripts/teacher_to_bevdepth4d/centerpoint2bevdepth.sh': R50,
    'scripts/teacher_to_bevdepth4d/centerpoint2bevdepth_r101.sh': R101,
    'scripts/teacher_to_bevdepth4d/mvp2bevdepth.sh': f'{FOLDER}/mvp_to_bevdepth4d_r50_256x704.py',
    'scripts/teacher_to_bevdepth4d/mvp2bevdepth_r101.sh': f'{FOLDER}/mvp_to_bevdepth4d_r101_512x1408.py',
    'scripts/teacher/mvp.sh': MVP,
    'scripts/teacher/centerpoint.sh': 'configs/centerpoint/centerpoint_pillar02_dynamic_cbgs_20e_nus.py',
}
SCRIPT = next(iter(SCRIPTS))


@pytest.fixture
def launch(repo_root, tmp_path):
    """Run a script with a python that only echoes, but for the small helper tools; returns exit status and lines."""
    python = tmp_path / 'bin' / 'python'
    python.parent.mkdir()
    python.write_text(
        f'#!/bin/sh\ncase "$*" in *move_data_root*) exec "{sys.executable}" "$@" ;; esac\necho "python: $*"\n'
    )
    python.chmod(0o755)

    def run(*words, script=SCRIPT, **env):
        env = dict(os.environ, PATH=f'{python.parent}{os.pathsep}{os.environ["PATH"]}', VIRTUAL_ENV='active', **env)
        done = subprocess.run(['bash', script, *words], cwd=repo_root, env=env, capture_output=True, text=True)
        return done.returncode, (done.stdout + done.stderr).splitlines()

    return run


def started(lines):
    return [line for line in lines if line.startswith('python: ')]


@pytest.mark.parametrize('script, config', SCRIPTS.items())
def test_defaults_train_then_test(launch, repo_root, script, config):
    status, lines = launch(script=script, GPUS='3')
    assert status == 0
    commands = started(lines)
    work_dir = f'outputs/{os.path.basename(config)[:-3]}'
    assert (repo_root / config).is_file()
    assert '--nproc_per_node=3' in commands[0]
    assert commands[0].endswith(f'train.py {config} --launcher pytorch --work-dir {work_dir} --auto-resume')
    assert commands[1].endswith(
        f'test.py {config} {work_dir}/latest.pth --launcher pytorch --work-dir {work_dir}/eval --eval bbox'
    )


def test_teacher_and_overrides_share_one_list_that_reaches_both_steps(launch, tmp_path):
    teacher = tmp_path / 'teacher.pth'
    teacher.touch()
    env = dict(GPUS='1', TEACHER_CKPT=str(teacher), WORK_DIR='w')
    train, test = started(launch('--seed', '1', **env)[1])
    assert train.endswith(f'--work-dir w --auto-resume --seed 1 --cfg-options model.teacher.checkpoint={teacher}')
    assert test.endswith(f'--eval bbox --cfg-options model.teacher.checkpoint={teacher}')

    words = ('--cfg-options', 'optimizer.lr=1', 'a.b=[1,2]', '--no-validate', '--cfg-options=c=d', '--seed', '-1')
    train, test = started(launch(*words, **env)[1])
    options = f'--cfg-options model.teacher.checkpoint={teacher} optimizer.lr=1 a.b=[1,2] c=d'
    assert train.endswith(f'--auto-resume --no-validate --seed -1 {options}')
    assert test.endswith(f'--eval bbox {options}') and '--seed' not in test


@pytest.mark.parametrize('dash', ['–', '—', '−'])
@pytest.mark.parametrize('locale', ['C', 'C.UTF-8'])
def test_typographic_dashes_are_read_as_plain_ones(launch, dash, locale):
    words = (f'{dash}work-dir', 'here', f'{dash}cfg-options', 'a.b=1', '--seed', '−1')
    train, test = started(launch(*words, GPUS='1', LC_ALL=locale)[1])
    assert train.endswith('--work-dir here --auto-resume --seed −1 --cfg-options a.b=1')
    assert 'here/latest.pth' in test and test.endswith('--work-dir here/eval --eval bbox --cfg-options a.b=1')


def test_work_dir_flag_counts_for_both_steps(launch):
    train, test = started(launch('--work-dir', 'here', GPUS='1')[1])
    assert train.endswith('--work-dir here --auto-resume')
    assert 'here/latest.pth' in test and '--work-dir here/eval' in test


def test_data_root_moves_every_data_set(launch):
    for command in started(launch(GPUS='1', DATA_ROOT='/my/set')[1]):
        words = command.split()
        for inner, file in (('train.dataset', 'train'), ('val', 'val'), ('test', 'val')):
            found = [word for word in words if word.startswith(f'data.{inner}.data_root=')]
            assert [word.rstrip('/') for word in found] == [f'data.{inner}.data_root=/my/set']
            assert f'data.{inner}.ann_file=/my/set/nuscenes_infos_{file}_4d_interval3_max60.pkl' in words


def test_data_root_moves_the_object_database(launch):
    for command in started(launch(script='scripts/teacher/mvp.sh', GPUS='1', DATA_ROOT='/my/set')[1]):
        (word,) = [word for word in command.split() if word.startswith('data.train') and 'dbinfos' in word]
        assert word.endswith('.db_sampler.info_path=/my/set/nuscenes_dbinfos_train_virtual.pkl')


def test_a_missing_teacher_is_said_at_once(launch):
    status, lines = launch(GPUS='1', TEACHER_CKPT='nowhere.pth')
    assert status == 1
    assert 'TEACHER_CKPT=nowhere.pth does not exist' in lines[0]
    assert not started(lines)


@pytest.mark.parametrize('name', ['centerpoint', 'mvp'])
def test_the_teacher_s_own_training_takes_no_teacher(launch, name):
    status, lines = launch(script=f'scripts/teacher/{name}.sh', GPUS='1', TEACHER_CKPT='nowhere.pth')
    assert status == 0 and all('teacher.checkpoint' not in line for line in started(lines))


def test_launcher_says_how_to_call_it(launch):
    status, lines = launch(script='scripts/launch.sh')
    assert status == 2 and 'scripts/launch.sh <config>' in lines[1]


def test_overrides_joined_by_an_equals_sign_may_be_followed_by_more(launch):
    train, test = started(launch('--cfg-options=a=1', 'b=2', '--seed', '3', GPUS='1')[1])
    assert train.endswith('--auto-resume --seed 3 --cfg-options a=1 b=2')
    assert test.endswith('--eval bbox --cfg-options a=1 b=2')
