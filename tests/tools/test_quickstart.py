"""Steps are skipped, resumed or run again for the right reasons; the plan's commands and the report are right."""

import dataclasses
import io
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'tools'))

import quickstart  # noqa: E402
from workflow.cli import run_to_the_end  # noqa: E402
from workflow.plan import Plan  # noqa: E402
from workflow.progress import clock, progress_line, read_progress, tail  # noqa: E402
from workflow.relocate import relocate  # noqa: E402
from workflow.report import as_markdown, as_text, build_results, newest, read_metrics, table  # noqa: E402
from workflow.schedule import run_steps  # noqa: E402
from workflow.step import Step, StepFailedError, StepStoppedError  # noqa: E402

METRICS = {'mAP': 0.5, 'NDS': 0.4, 'mATE': 0.1, 'mASE': 0.2, 'mAOE': 0.3, 'mAVE': 0.4, 'mAAE': 0.6}

# Counts its runs in a file; "--auto-resume" is written too, so a test sees how it was called.
COUNTING = 'import sys; open(sys.argv[1], "a").write(" ".join(sys.argv[2:]) + ";")'


def counting_step(folder, name='one', code=COUNTING, **kwargs):
    output = folder / f'{name}.txt'
    return Step(
        name=name,
        title=f'step {name}',
        command=('python', '-c', code, str(output)),
        marker=folder / '.steps' / f'{name}.json',
        log=folder / 'logs' / f'{name}.log',
        outputs=(output,),
        **kwargs,
    )


def run(step):
    console = io.StringIO()
    step.run(label='[1/1]', stream=console)
    return console.getvalue()


class TestStep:
    def test_finished_step_is_skipped_and_keeps_its_seconds(self, tmp_path):
        step = counting_step(tmp_path)
        assert 'finished in' in run(step)
        marker = json.loads(step.marker.read_text())
        assert marker['finished'] and marker['command'].startswith('python -c')
        assert 'skipped' in run(step)
        assert (tmp_path / 'one.txt').read_text() == ';'
        assert step.run(stream=io.StringIO()) == marker['seconds']

    def test_runs_again_when_output_is_gone(self, tmp_path):
        step = counting_step(tmp_path)
        run(step)
        (tmp_path / 'one.txt').unlink()
        assert 'finished in' in run(step)

    @pytest.mark.parametrize('change', [{'settings': 'lr=2'}, {'after': 'other'}])
    def test_runs_again_when_settings_or_earlier_step_change(self, tmp_path, change):
        before = counting_step(tmp_path, 'before', settings='a')
        run(counting_step(tmp_path, settings='lr=1', after=(before,)))
        after = (counting_step(tmp_path, 'before', settings='b'),) if change.get('after') else (before,)
        run(counting_step(tmp_path, settings=change.get('settings', 'lr=1'), after=after))
        assert (tmp_path / 'one.txt').read_text() == ';;'

    def test_python_is_the_running_interpreter(self, tmp_path):
        code = 'import sys; open(sys.argv[1], "w").write(sys.executable + " " + sys.argv[2])'
        step = counting_step(tmp_path, code=code)
        run(dataclasses.replace(step, command=(*step.command, 'python')))
        assert (tmp_path / 'one.txt').read_text() == f'{sys.executable} python'

    def test_failure_shows_log_tail_and_command(self, tmp_path):
        step = counting_step(tmp_path, code='import sys; print("the cause"); sys.exit(3)')
        with pytest.raises(StepFailedError, match='exit code 3') as error:
            run(step)
        assert 'the cause' in str(error.value) and 'python -c' in str(error.value)
        assert not step.is_done()

    def test_missing_output_is_a_failure(self, tmp_path):
        with pytest.raises(StepFailedError, match='did not write .*one.txt'):
            run(counting_step(tmp_path, code='pass'))

    def test_interrupted_training_resumes_and_adds_up_its_time(self, tmp_path):
        step = counting_step(tmp_path, work_dir=tmp_path / 'work', resume_flag='--auto-resume')
        step.write_marker(finished=False, seconds=100.0)
        step.work_dir.mkdir()
        (step.work_dir / 'epoch_1.pth').touch()
        assert step.run(stream=io.StringIO()) >= 100.0
        assert (tmp_path / 'one.txt').read_text() == '--auto-resume;'
        assert (step.work_dir / 'epoch_1.pth').exists()

    def test_changed_training_starts_over_in_an_empty_folder(self, tmp_path):
        kwargs = {'work_dir': tmp_path / 'work', 'resume_flag': '--auto-resume'}
        counting_step(tmp_path, settings='old', **kwargs).write_marker(finished=False, seconds=100.0)
        (tmp_path / 'work').mkdir()
        (tmp_path / 'work' / 'epoch_1.pth').touch()
        assert counting_step(tmp_path, settings='new', **kwargs).run(stream=io.StringIO()) < 100.0
        assert (tmp_path / 'one.txt').read_text() == ';'
        assert not (tmp_path / 'work').exists()

    def test_foreign_folder_is_never_deleted(self, tmp_path):
        step = counting_step(tmp_path, work_dir=tmp_path / 'work', resume_flag='--auto-resume')
        step.work_dir.mkdir()
        (step.work_dir / 'precious').touch()
        with pytest.raises(StepFailedError, match='it did not make'):
            run(step)
        assert (step.work_dir / 'precious').exists()

    def test_killed_step_leaves_an_unfinished_marker(self, tmp_path, monkeypatch):
        step = counting_step(tmp_path, code='import time; time.sleep(60)')

        def interrupt(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr(Step, '_watch', interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(step)
        assert json.loads(step.marker.read_text())['finished'] is False

    def test_half_written_marker_counts_as_none(self, tmp_path):
        step = counting_step(tmp_path)
        step.marker.parent.mkdir()
        step.marker.write_text('{"finished": tr')
        assert step.read_marker() == {}


class TestSchedule:
    def meeting(self, folder, name, other, **kwargs):
        """A step that ends only once ``other`` has begun too: alone, it fails after half a minute."""
        code = 'import os, sys, time, pathlib\n'
        code += f'here = pathlib.Path({str(folder)!r}); (here / "{name}.here").touch(); end = time.time() + 30\n'
        code += f'while not (here / "{other}.here").exists():\n'
        code += '    assert time.time() < end, "alone"\n'
        code += '    time.sleep(0.05)\n'
        code += 'open(sys.argv[1], "w").write(os.environ.get("OMP_NUM_THREADS", ""))'
        return counting_step(folder, name, code=code, **kwargs)

    def test_independent_steps_run_side_by_side_with_their_share_of_threads(self, tmp_path, monkeypatch):
        monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
        steps = [self.meeting(tmp_path, 'one', 'two'), self.meeting(tmp_path, 'two', 'one')]
        console = io.StringIO()
        assert list(run_steps(steps, jobs=2, stream=console)) == ['one', 'two']
        assert (tmp_path / 'one.txt').read_text() == str(max(1, (os.cpu_count() or 1) // 2))
        assert sum('finished in' in line for line in console.getvalue().splitlines()) == 2

    def test_a_step_waits_for_those_it_comes_after(self, tmp_path):
        one = counting_step(tmp_path, 'one')
        code = f'import sys, pathlib; assert pathlib.Path({str(tmp_path / "one.txt")!r}).exists(); ' + COUNTING
        two = counting_step(tmp_path, 'two', code=code, after=(one,))
        assert list(run_steps([one, two], jobs=2, stream=io.StringIO())) == ['one', 'two']
        with pytest.raises(ValueError, match="step 'two' comes after one, which will never run"):
            run_steps([two], jobs=2, stream=io.StringIO())

    def test_one_job_runs_one_at_a_time_in_the_environment_as_it_is(self, tmp_path, monkeypatch):
        monkeypatch.setenv('OMP_NUM_THREADS', '7')
        code = 'import os, sys, pathlib; here = pathlib.Path(sys.argv[1]).parent; busy = here / "busy"\n'
        code += 'busy.touch(exist_ok=False); open(sys.argv[1], "w").write(os.environ["OMP_NUM_THREADS"]); busy.unlink()'
        run_steps([counting_step(tmp_path, name, code=code) for name in ('one', 'two')], stream=io.StringIO())
        assert [(tmp_path / f'{name}.txt').read_text() for name in ('one', 'two')] == ['7', '7']

    def test_finished_is_called_after_each_step_and_each_done_before(self, tmp_path):
        steps = [counting_step(tmp_path, name) for name in ('one', 'two')]
        run(steps[0])
        done = []
        run_steps(steps, stream=io.StringIO(), finished=lambda: done.append([step.is_done() for step in steps]))
        assert done == [[True, False], [True, True]]

    def test_a_failure_stops_the_other_steps(self, tmp_path):
        long = counting_step(tmp_path, 'long', code='import time; time.sleep(60)')
        broken = counting_step(tmp_path, 'broken', code='raise SystemExit(3)')
        start = time.monotonic()
        with pytest.raises(StepFailedError, match='exit code 3'):
            run_steps([long, broken], jobs=2, stream=io.StringIO())
        assert time.monotonic() - start < 30 and not long.is_done()

    def test_stop_ends_a_running_step(self, tmp_path):
        stop = threading.Event()
        stop.set()
        with pytest.raises(StepStoppedError):
            counting_step(tmp_path, code='import time; time.sleep(60)').run(stream=io.StringIO(), stop=stop)


class TestRunToTheEnd:
    def test_a_kill_interrupts_and_the_callers_handler_comes_back(self, capsys, tmp_path):
        def terminated(number, frame):
            raise AssertionError('the handler of the caller was called')

        command = ('python', '-c', f'import os, signal, time; os.kill({os.getpid()}, signal.SIGTERM); time.sleep(60)')
        step = Step('a', 'A', command, tmp_path / 'a.json', tmp_path / 'a.log')
        before = signal.signal(signal.SIGTERM, terminated)
        try:
            assert run_to_the_end([step], jobs=1) == (130, {})
            assert signal.getsignal(signal.SIGTERM) is terminated
        finally:
            signal.signal(signal.SIGTERM, before)
        assert 'interrupted' in capsys.readouterr().err


class TestProgress:
    def test_training_line(self):
        lines = [
            'x - INFO - Epoch [2][30/60]\tlr: 1e-3, eta: 0:01, time: 0.1, task0.loss_bbox: 9.0, loss: 3.25',
            'warn',
        ]
        fraction, text = read_progress(lines, max_epochs=4)
        assert fraction == pytest.approx(1.5 / 4)
        assert text == 'epoch 2/4 [30/60] loss 3.25'

    def test_training_ignores_plain_counts(self):
        assert read_progress(['[>>] 3/4, 1 task/s'], max_epochs=4) == (None, '')

    def test_progress_bar(self):
        assert read_progress(['[>>>  ] 12/48, 2.0 task/s, elapsed: 1s'], None) == (0.25, '12/48')

    def test_paths_dates_and_impossible_counts_are_no_progress(self):
        assert read_progress(['saved a/b', '7/5', '0/0', '1.5/2.5']) == (None, '')

    def test_tail_splits_carriage_returns(self, tmp_path):
        log = tmp_path / 'log'
        log.write_bytes(b'one\r1/4\r2/4\n\n')
        assert tail(log) == ['one', '1/4', '2/4']
        assert tail(tmp_path / 'none') == []

    def test_eta_uses_only_this_run_of_a_resumed_training(self):
        assert 'eta 0:25' in progress_line('t', 25.0, 0.75, '', fraction_at_start=0.5)
        assert 'eta 0:30' in progress_line('t', 10.0, 0.25, '')
        assert 'eta' not in progress_line('t', 10.0, 0.5, '', fraction_at_start=0.5)

    def test_clock(self):
        assert clock(59.6) == '1:00' and clock(3661) == '1:01:01'


def test_relocate_moves_only_strings_below_the_old_folder():
    node = {'data_root': 'data/toy/', 'data': {'train': {'files': ['data/toy/a.pkl', 'data/toys/b.pkl']}}, 'n': 3}
    assert relocate(node, 'data/toy', '/new') == ['data_root=/new/', 'data.train.files.0=/new/a.pkl']
    assert relocate(node, 'data/toy', 'data/toy/') == []


@pytest.fixture
def configs(tmp_path):
    """Three tiny config files with what the plan reads from them."""
    base = "data = dict(val=dict(data_root='data/toy/', ann_file='data/toy/val.pkl'))\nrunner = dict(max_epochs=2)\n"
    files = {}
    for name in ('teacher', 'student', 'dualdistill'):
        teacher = f'teacher=dict(config={files["teacher"]!r})' if name == 'dualdistill' else ''
        files[name] = str(tmp_path / f'{name}.py')
        Path(files[name]).write_text(f'{base}model = dict({teacher})\n')
    return files


def make_plan(configs, tmp_path, data_root=None, seeds=(0,), synthetic=None, **kwargs):
    synthetic = synthetic or {'version': 'v1.0-mini', 'scenes': 3}
    return Plan(configs, synthetic, {'num': 2}, tmp_path / 'out', data_root, list(seeds), **kwargs)


class TestPlan:
    def test_order_and_names(self, configs, tmp_path):
        names = [step.name for step in make_plan(configs, tmp_path, seeds=(0, 3)).steps]
        assert names[:5] == ['synthetic_data', 'create_data', 'prepare_4d', 'train_teacher', 'eval_teacher']
        assert names[5:9] == ['train_student', 'eval_student', 'train_dualdistill', 'eval_dualdistill']
        assert names[9:] == [
            'train_teacher_seed3', 'eval_teacher_seed3', 'train_student_seed3', 'eval_student_seed3',
            'train_dualdistill_seed3', 'eval_dualdistill_seed3', 'pictures', 'curves',
        ]  # fmt: skip

    def test_distillation_uses_the_teacher_of_its_seed(self, configs, tmp_path):
        train = make_plan(configs, tmp_path, seeds=(0, 3)).runs[3]['dualdistill'][0]
        assert f'model.teacher.checkpoint={tmp_path}/out/teacher_seed3/epoch_2.pth' in train.command
        assert train.command[train.command.index('--seed') + 1] == '3'

    def test_each_distillation_uses_the_teacher_that_its_config_names(self, configs, tmp_path):
        other = tmp_path / 'other_distill.py'
        other.write_text(Path(configs['dualdistill']).read_text().replace('teacher.py', 'other_teacher.py'))
        teacher = tmp_path / 'other_teacher.py'
        teacher.write_text(Path(configs['teacher']).read_text())
        configs = {'teacher_lidar': str(teacher), **configs, 'dualdistill_lidar': str(other)}
        runs = make_plan(configs, tmp_path, seeds=(3,)).runs[3]
        for student, teacher in (('dualdistill', 'teacher'), ('dualdistill_lidar', 'teacher_lidar')):
            step = runs[student][0]
            assert f'model.teacher.checkpoint={tmp_path}/out/{teacher}_seed3/epoch_2.pth' in step.command
            assert runs[teacher][0] in step.after

    def test_masks_bring_the_virtual_points(self, configs, tmp_path):
        synthetic = {'version': 'v1.0-mini', 'instance-masks': True, 'scenes': 3}
        plan = make_plan(configs, tmp_path, synthetic=synthetic)
        assert plan.steps[0].command[-3:] == ('--instance-masks', '--scenes', '3')
        lift = plan.steps[3]
        assert lift.name == 'virtual_points' and lift in plan.runs[0]['teacher'][0].after
        assert lift.command[-2:] == ('--mask-format', 'rendered') and 'data/toy' in lift.command
        without = make_plan(configs, tmp_path)
        assert 'virtual_points' not in [step.name for step in without.steps]

    def test_the_mvp_configs_share_one_data_set(self, tmp_path, repo_root, monkeypatch):
        monkeypatch.chdir(repo_root)
        synthetic = {**quickstart.SYNTHETIC, **quickstart.MVP_SYNTHETIC}
        plan = Plan(quickstart.MVP_CONFIGS, synthetic, {'num': 2}, tmp_path / 'out', None, [0])
        assert plan.data_root == Path('data/quickstart_mvp')
        for name, steps in plan.runs[0].items():
            own = plan.configs[name].data.train.data_root == 'data/quickstart_mvp/'
            for step in steps:
                moved = [word for word in step.command if word.startswith('data.train.ann_file=')]
                assert own or moved[0].startswith('data.train.ann_file=data/quickstart_mvp/'), step.command

    def test_every_flag_and_new_data_root_reach_the_commands(self, configs, tmp_path):
        plan = make_plan(configs, tmp_path, data_root=tmp_path / 'data')
        assert plan.steps[0].command[2:] == ('--out-dir', f'{tmp_path}/data', '--version', 'v1.0-mini', '--scenes', '3')
        for step in plan.runs[0]['student']:
            assert f'data.val.ann_file={tmp_path}/data/val.pkl' in step.command
        assert plan.steps[0].marker == tmp_path / '.data-made-by' / 'steps' / 'synthetic_data.json'

    def test_a_set_of_its_own_to_evaluate_on(self, configs, tmp_path):
        synthetic = {'version': 'v1.0-mini', 'scenes': 3}
        plain = make_plan(configs, tmp_path)
        plan = make_plan(configs, tmp_path, evaluate_on=(tmp_path / 'more', {**synthetic, 'scenes': 9}))
        names = [step.name for step in plan.steps]
        assert len(set(names)) == len(names) == len(plain.steps) + 3
        assert names[3:6] == ['eval_synthetic_data', 'eval_create_data', 'eval_prepare_4d']
        assert {'--overwrite', f'{tmp_path}/more', '9'} <= set(plan.steps[3].command)
        train, evaluate = plan.runs[0]['dualdistill']
        # trainings know nothing of it: those made without such a set stay valid
        assert train.fingerprint == plain.runs[0]['dualdistill'][0].fingerprint
        assert f'data.val.ann_file={tmp_path}/more/val.pkl' in evaluate.command
        assert f'model.teacher.checkpoint={plan.checkpoint("teacher", 0)}' in evaluate.command
        assert plan.steps[5] in evaluate.after and plan.steps[5] not in train.after
        (draw,) = [step for step in plan.steps if step.name == 'pictures']
        assert f'data.val.ann_file={tmp_path}/more/val.pkl' in draw.command

    def test_only_the_quick_starts_own_data_are_replaced(self, configs, tmp_path):
        synthetic = {'version': 'v1.0-mini', 'image-size': (80, 60)}
        own = make_plan(configs, tmp_path, synthetic=synthetic).steps[0].command
        assert own[3:5] == ('data/toy', '--overwrite') and own[-3:] == ('--image-size', '80', '60')
        assert '--overwrite' not in make_plan(configs, tmp_path, data_root=tmp_path / 'data').steps[0].command

    def test_teacher_config_change_reaches_only_its_dependants(self, configs, tmp_path):
        def prints():
            return {step.name: step.fingerprint for step in make_plan(configs, tmp_path).steps}

        before = prints()
        with open(configs['teacher'], 'a') as file:
            file.write('optimizer = dict(lr=1)\n')
        changed = {name for name, value in prints().items() if value != before[name]}
        assert changed == {
            'train_teacher', 'eval_teacher', 'train_dualdistill', 'eval_dualdistill', 'pictures', 'curves'
        }  # fmt: skip

    @pytest.mark.parametrize(
        'name, value, unchanged',
        [
            ('mmdet3d_plugin.synthetic.config.GENERATOR_VERSION', 99, 0),
            ('workflow.data_steps.SCHEMA', 'dualdistill-nuscenes/99', 1),
        ],
    )
    def test_generator_and_info_schema_are_part_of_the_data(
        self, configs, tmp_path, monkeypatch, name, value, unchanged
    ):
        before = [step.fingerprint for step in make_plan(configs, tmp_path).steps]
        monkeypatch.setattr(name, value)
        after = [step.fingerprint for step in make_plan(configs, tmp_path).steps]
        assert before[:unchanged] == after[:unchanged]
        assert all(old != new for old, new in zip(before[unchanged:], after[unchanged:]))

    def test_generator_defaults_are_part_of_the_data(self, configs, tmp_path):
        settings = json.loads(make_plan(configs, tmp_path).steps[0].settings)
        assert settings['settings']['scenes'] == 3 and settings['settings']['lidar_beams'] == 32
        assert settings['generator_version'] >= 1 and 'workers' not in settings['settings']

    def test_data_flags_change_everything(self, configs, tmp_path):
        one, two = (make_plan(configs, tmp_path, synthetic={'version': 'v1.0-mini', 'scenes': n}) for n in (2, 3))
        assert all(a.fingerprint != b.fingerprint for a, b in zip(one.steps, two.steps))


class TestReport:
    def test_read_metrics_strips_prefix_and_nesting(self, tmp_path):
        path = tmp_path / 'eval.json'
        path.write_text(json.dumps({'metric': {f'pts_bbox_NuScenes/{key}': value for key, value in METRICS.items()}}))
        assert read_metrics(path) == METRICS
        path.write_text(json.dumps({'mAP': 1.0}))
        with pytest.raises(ValueError, match='no NDS'):
            read_metrics(path)

    def test_newest(self, tmp_path):
        with pytest.raises(FileNotFoundError, match='eval_'):
            newest(tmp_path, 'eval_*.json')
        (tmp_path / 'eval_1.json').touch()
        assert newest(tmp_path, 'eval_*.json').name == 'eval_1.json'

    def test_results_layout(self):
        one = {'teacher': METRICS, 'student': METRICS}
        results = build_results({0: one}, {'a': 1.04, 'b': 2.0}, wall=2.04)
        assert set(results) == {'teacher', 'student', 'seconds'}
        assert results['seconds'] == {'a': 1.0, 'b': 2.0, 'total': 3.0, 'this_call': 2.0}
        several = build_results({0: one, 5: one}, {}, wall=0.0)
        assert several['seeds']['5']['student'] == METRICS and several['teacher'] == METRICS

    def test_tables(self):
        rows = table({0: {'teacher': METRICS}, 1: {'teacher': METRICS}})
        assert rows[1] == ['0', 'teacher', '0.500', '0.400', '0.100', '0.200', '0.300', '0.400', '0.600']
        assert as_text(rows).splitlines()[1].split() == rows[1]
        assert as_markdown(rows).splitlines()[1] == '|' + '---|' * 9
        assert table({0: {'teacher': METRICS}})[0][0] == 'model'


class TestMain:
    def fake(self, monkeypatch, tmp_path, configs, steps):
        monkeypatch.chdir(tmp_path)  # main changes folder; this brings the old one back
        monkeypatch.setattr(quickstart, 'CONFIGS', configs)
        monkeypatch.setattr(Plan, 'steps', property(lambda plan: steps(plan)))

    def test_writes_results_and_report(self, configs, tmp_path, monkeypatch, capsys):
        def steps(plan):
            for name, gain in (('teacher', 0.2), ('student', 0.0), ('dualdistill', 0.1)):
                folder = plan.run_dir(name, 0) / 'eval'
                folder.mkdir(parents=True, exist_ok=True)
                (folder / 'eval_1.json').write_text(json.dumps({**METRICS, 'mAP': 0.5 + gain}))
            (plan.out_dir / 'pictures').mkdir(exist_ok=True)
            (plan.out_dir / 'pictures' / 'sample0.png').touch()
            return [counting_step(tmp_path)]

        self.fake(monkeypatch, tmp_path, configs, steps)
        out = tmp_path / 'out'
        assert quickstart.main(['--out-dir', str(out)]) == 0
        results = json.loads((out / 'results.json').read_text())
        assert results['dualdistill']['mAP'] == 0.6 and 'one' in results['seconds']
        report = (out / 'report.md').read_text()
        assert '![sample0](pictures/sample0.png)' in report and '(curves.png)' in report
        assert 'distillation changes mAP by +0.100 and NDS by +0.000' in report
        assert 'teacher' in capsys.readouterr().out

    def test_the_mvp_run_reports_every_comparison(self, configs, tmp_path, monkeypatch, capsys):
        scores = {'teacher_lidar': 0.1, 'teacher': 0.3, 'student': 0.0, 'dualdistill_lidar': 0.04, 'dualdistill': 0.05}

        def steps(plan):
            for name, value in scores.items():
                folder = plan.run_dir(name, 0) / 'eval'
                folder.mkdir(parents=True, exist_ok=True)
                (folder / 'eval_1.json').write_text(json.dumps({**METRICS, 'mAP': value}))
            return [counting_step(tmp_path)]

        self.fake(monkeypatch, tmp_path, {}, steps)
        monkeypatch.setattr(quickstart, 'MVP_CONFIGS', dict.fromkeys(scores, configs['teacher']))
        assert quickstart.main(['--teacher', 'mvp', '--out-dir', str(tmp_path / 'out')]) == 0
        report = (tmp_path / 'out' / 'report.md').read_text()
        for line in (
            'seed 0: distillation changes mAP by +0.050',
            'seed 0: the MVP teacher instead of CenterPoint changes mAP by +0.010',
            'seed 0: points painted and virtual changes mAP by +0.200',
        ):
            assert line in report

    def test_each_teacher_has_its_folder(self):
        assert quickstart.parse_args([]).out_dir == Path('outputs/quickstart')
        assert quickstart.parse_args(['--teacher', 'mvp']).out_dir == Path('outputs/quickstart_mvp')
        assert quickstart.parse_args(['--teacher', 'mvp', '--out-dir', 'x']).out_dir == Path('x')

    def test_failing_step_ends_with_status_one(self, configs, tmp_path, monkeypatch, capsys):
        self.fake(
            monkeypatch, tmp_path, configs, lambda plan: [counting_step(tmp_path, code='raise SystemExit("broken")')]
        )
        assert quickstart.main(['--out-dir', str(tmp_path / 'out')]) == 1
        assert 'broken' in capsys.readouterr().err

    def test_bad_words(self, capsys):
        for words in (['--seeds', 'a'], ['--jobs', '0']):
            with pytest.raises(SystemExit):
                quickstart.parse_args(words)
        assert quickstart.parse_args(['--seeds', '2,1,2']).seeds == [2, 1]
