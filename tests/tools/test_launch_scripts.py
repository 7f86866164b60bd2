"""The launch scripts name the right config, and the launcher trains, evaluates, skips and resumes."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.signals import hear_signals

FOLDER = 'configs/lidar2camera_bev_distillation/teacher_to_bevdepth4d'
R50, R101 = f'{FOLDER}/centerpoint_to_bevdepth4d_r50_256x704.py', f'{FOLDER}/centerpoint_to_bevdepth4d_r101_512x1408.py'
STUDENT = 'configs/bevdepth/bevdepth4d_r50_256x704_cbgs_24e_nus.py'
MVP = 'configs/mvp/mvp_pillar02_dynamic_cbgs_20e_nus.py'
BEVFORMER = FOLDER.replace('bevdepth4d', 'bevformer')
TO_BEVFORMER = {
    'lidarformer2bevformer': ('lidarformer', 'r50'),
    'mvpformer2bevformer': ('mvpformer', 'r50'),
    'lidarformer2bevformer_r101': ('lidarformer', 'r101'),
    'mvpformer2bevformer_r101': ('mvpformer', 'r101'),
    'exp_lidar_r50': ('lidarformer', 'r50'),
    'exp_mvp_r50': ('mvpformer', 'r50'),
}
SCRIPTS = {
    'scripts/teacher_to_bevdepth4d/centerpoint2bevdepth.sh': R50,
    'scripts/teacher_to_bevdepth4d/centerpoint2bevdepth_r101.sh': R101,
    'scripts/teacher_to_bevdepth4d/mvp2bevdepth.sh': f'{FOLDER}/mvp_to_bevdepth4d_r50_256x704.py',
    'scripts/teacher_to_bevdepth4d/mvp2bevdepth_r101.sh': f'{FOLDER}/mvp_to_bevdepth4d_r101_512x1408.py',
    **{
        f'scripts/teacher_to_bevformer/{script}.sh': f'{BEVFORMER}/{teacher}_to_bevformer_nus_1x1conv_{size}.py'
        for script, (teacher, size) in TO_BEVFORMER.items()
    },
    'scripts/teacher/lidarformer.sh': 'configs/lidarformer/lidarformer_voxel0064_cbgs_20e_nus.py',
    'scripts/teacher/mvpformer.sh': 'configs/mvpformer/mvpformer_voxel0064_cbgs_20e_nus.py',
    'scripts/teacher/mvp.sh': MVP,
    'scripts/teacher/centerpoint.sh': 'configs/centerpoint/centerpoint_pillar02_dynamic_cbgs_20e_nus.py',
}
# In place of python: notes its words, says something, and leaves what a training leaves in $WORK.
STUB = """#!/bin/sh
echo "$*" >>"$RECORD"
echo "I am $5"
case "$*" in
  *train.py*) [ -e "$WORK/broken" ] && exit 3; [ -e "$WORK/latest.pth" ] || touch "$WORK/latest.pth" ;;
esac
"""


def stub(path, text):
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def call(repo_root, tmp_path):
    """Run a script with a python that only says how it was called; returns exit status and lines."""
    python = stub(
        tmp_path / 'bin' / 'python',
        '#!/bin/sh\necho "teacher: ${TEACHER_CKPT:-}"\necho "python: $*"\necho "in: ${WORK_DIR:-}"\n',
    )

    def run(script, *words, **env):
        env = dict(os.environ, PATH=f'{python.parent}{os.pathsep}{os.environ["PATH"]}', VIRTUAL_ENV='active', **env)
        done = subprocess.run(['bash', script, *words], cwd=repo_root, env=env, capture_output=True, text=True)
        return done.returncode, (done.stdout + done.stderr).splitlines()

    return run


@pytest.mark.parametrize('script, config', SCRIPTS.items())
def test_each_script_names_its_config(call, repo_root, script, config):
    status, lines = call(script, '--seed', '1', TEACHER_CKPT='t.pth')
    assert status == 0 and (repo_root / config).is_file()
    assert lines[1] == f'python: -W ignore tools/launch.py {config} --seed 1'
    assert lines[0] == ('teacher: ' if script.startswith('scripts/teacher/') else 'teacher: t.pth')
    assert len((repo_root / script).read_text().splitlines()) == 7


@pytest.mark.parametrize('name, student', TO_BEVFORMER.items())
def test_students_of_bevformer_s_kind_go_where_the_method_s_readme_looks(call, name, student):
    script = f'scripts/teacher_to_bevformer/{name}.sh'
    assert call(script)[1][-1] == 'in: outputs/{}_to_bevformer_{}'.format(*student)
    assert call(script, WORK_DIR='elsewhere')[1][-1] == 'in: elsewhere'


@pytest.mark.parametrize('dash', ['–', '—', '−'])
@pytest.mark.parametrize('locale', ['C', 'C.UTF-8'])
def test_typographic_dashes_are_read_as_plain_ones(call, dash, locale):
    status, lines = call(next(iter(SCRIPTS)), f'{dash}work-dir', 'here', f'{dash}cfg-options', 'a.b=1', LC_ALL=locale)
    assert status == 0 and lines[1].endswith(f'{R50} --work-dir here --cfg-options a.b=1')


def test_launcher_says_how_to_call_it(call):
    status, lines = call('scripts/launch.sh')
    assert status == 2 and 'scripts/launch.sh <config>' in lines[1]


@pytest.fixture
def launch(repo_root, tmp_path, monkeypatch):
    """``launch(config, *words, **variables)`` -> exit status, words of the commands that it started."""
    monkeypatch.chdir(repo_root)  # main changes folder; this brings the old one back
    monkeypatch.syspath_prepend(str(repo_root / 'tools'))
    import launch as tool

    record = tmp_path / 'record'
    python = stub(tmp_path / 'bin' / 'stub', STUB)
    for name, value in dict(PYTHON=python, RECORD=record, WORK=tmp_path / 'work', WORK_DIR=tmp_path / 'work').items():
        monkeypatch.setenv(name, str(value))

    def run(config, *words, **variables):
        record.write_text('')
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {'GPUS': '1', **variables}.items():
                patch.setenv(name, str(value))
            status = tool.main([config, *words])
        return status, record.read_text().splitlines()

    run.work, run.tool = tmp_path / 'work', tool
    return run


def test_training_then_evaluation_with_their_output_on_the_terminal(launch, capfd):
    status, (train, test) = launch(STUDENT, GPUS='3')
    assert status == 0 and '--nproc_per_node=3' in train and '--nproc_per_node=3' in test
    assert train.endswith(f'train.py {STUDENT} --launcher pytorch --work-dir {launch.work} --auto-resume')
    work = launch.work
    assert test.endswith(f'test.py {STUDENT} {work}/latest.pth --launcher pytorch --work-dir {work}/eval --eval bbox')
    output = capfd.readouterr().out
    assert output.count('I am ') == 2 and f'$ bash tools/dist_train.sh {STUDENT} 3' in output
    assert '[1/2] train work  finished in' in output and not (work / 'logs').exists()


def test_the_work_folder_is_the_flag_s_or_the_variable_s_or_the_config_s(launch, monkeypatch, tmp_path):
    monkeypatch.delenv('WORK_DIR')
    assert launch.tool.parse_args(['a/b.py']).work_dir == Path('outputs/b')
    monkeypatch.setenv('WORK_DIR', 'w')
    assert launch.tool.parse_args(['a/b.py']).work_dir == Path('w')
    assert launch.tool.parse_args(['a/b.py', '--work-dir=here']).work_dir == Path('here')
    train, test = launch(STUDENT, '--work-dir', str(launch.work), WORK_DIR=tmp_path / 'other')[1]
    assert train.endswith(f'--work-dir {launch.work} --auto-resume') and f'{launch.work}/latest.pth' in test


def test_teacher_and_overrides_share_one_list_that_reaches_both_steps(launch, tmp_path):
    teacher = tmp_path / 'teacher.pth'
    teacher.touch()
    train, test = launch(R50, '--seed', '1', TEACHER_CKPT=teacher)[1]
    assert train.endswith(f'--auto-resume --seed 1 --cfg-options model.teacher.checkpoint={teacher}')
    assert test.endswith(f'--eval bbox --cfg-options model.teacher.checkpoint={teacher}')

    words = '--cfg-options optimizer.lr=1 a.b=[1,2] --no-validate --cfg-options=c=d e=f --seed -1'
    train, test = launch(R50, *words.split(), TEACHER_CKPT=teacher)[1]
    options = f'--cfg-options model.teacher.checkpoint={teacher} optimizer.lr=1 a.b=[1,2] c=d e=f'
    assert train.endswith(f'--auto-resume --no-validate --seed -1 {options}')
    assert test.endswith(f'--eval bbox {options}') and '--seed' not in test


def test_data_root_moves_every_data_set(launch):
    for command in launch(STUDENT, DATA_ROOT='/my/set')[1]:
        words = command.split()
        for inner, file in (('train.dataset', 'train'), ('val', 'val'), ('test', 'val')):
            found = [word for word in words if word.startswith(f'data.{inner}.data_root=')]
            assert [word.rstrip('/') for word in found] == [f'data.{inner}.data_root=/my/set']
            assert f'data.{inner}.ann_file=/my/set/nuscenes_infos_{file}_4d_interval3_max60.pkl' in words


def test_data_root_moves_the_object_database(launch):
    for command in launch(MVP, DATA_ROOT='/my/set')[1]:
        (word,) = [word for word in command.split() if word.startswith('data.train') and 'dbinfos' in word]
        assert word.endswith('.db_sampler.info_path=/my/set/nuscenes_dbinfos_train_virtual.pkl')


def test_a_missing_teacher_is_said_at_once(launch, repo_root, tmp_path):
    config = tmp_path / 'config.py'
    config.write_text(
        f"_base_ = '{repo_root}/{R50}'\nmodel = dict(teacher=dict(checkpoint='{tmp_path}/epoch_20.pth'))\n"
    )
    with pytest.raises(FileNotFoundError, match='TEACHER_CKPT=nowhere.pth does not exist: give'):
        launch(R50, TEACHER_CKPT='nowhere.pth')
    with pytest.raises(FileNotFoundError, match='/epoch_20.pth does not exist: train it with scripts/teacher or set'):
        launch(str(config))
    assert not launch.work.exists()


def test_a_teacher_that_the_words_choose_or_that_is_no_longer_needed_is_not_looked_for(launch):
    assert len(launch(R50, '--cfg-options', 'model.teacher.checkpoint=https://a.b/c.pth')[1]) == 2
    assert launch(R50, '--cfg-options', 'runner.max_epochs=30')[0] == 0  # the work folder has a checkpoint


def test_what_is_finished_is_skipped_until_something_changes(launch, capfd):
    assert len(launch(STUDENT)[1]) == 2
    status, commands = launch(STUDENT)
    assert (status, commands) == (0, []) and capfd.readouterr().out.count('skipped') == 2
    (launch.work / 'note').touch()
    assert len(launch(STUDENT, '--cfg-options', 'runner.max_epochs=30')[1]) == 2
    assert (launch.work / 'note').exists()  # nothing of the user's is removed
    os.utime(launch.work / 'latest.pth', (0, 0))  # trained on without the launcher
    assert ['test.py' in command for command in launch(STUDENT, '--cfg-options', 'runner.max_epochs=30')[1]] == [True]


def test_a_broken_training_is_not_evaluated_and_goes_on_next_time(launch, capfd):
    launch.work.mkdir()
    (launch.work / 'broken').touch()
    status, commands = launch(STUDENT)
    assert status == 1 and len(commands) == 1
    assert 'step "train" failed (exit code 3). See above.' in capfd.readouterr().err
    (launch.work / 'broken').unlink()
    status, (train, _) = launch(STUDENT)
    assert status == 0 and train.endswith('--auto-resume')


def test_a_kill_ends_the_training_too(repo_root, tmp_path):
    hangs = f'case "$*" in *launch.py*) exec "{sys.executable}" "$@" ;; esac\necho $$ >"$WORK_DIR.pid"\nexec sleep 60\n'
    python = stub(tmp_path / 'bin' / 'python', f'#!/bin/sh\n{hangs}')
    env = dict(os.environ, PYTHON=str(python), VIRTUAL_ENV='active', WORK_DIR=str(tmp_path / 'w'), GPUS='1')
    process = subprocess.Popen(
        ['bash', 'scripts/launch.sh', MVP], cwd=repo_root, env=env, preexec_fn=hear_signals, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    pid = tmp_path / 'w.pid'
    while not pid.exists() or not pid.read_text().strip():
        assert process.poll() is None
        time.sleep(0.05)
    process.terminate()
    assert 'start the same command again to resume' in process.communicate(timeout=20)[1] and process.returncode == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
