"""Steps are skipped, resumed, run again and ended for the right reasons; progress is read right."""

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

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / 'tools'))

from workflow.progress import Console, clock, progress_line, read_progress, tail  # noqa: E402
from workflow.schedule import run_steps, run_to_the_end  # noqa: E402
from workflow.step import Step, StepFailedError, StepStoppedError  # noqa: E402

# Counts its runs in a file; "--auto-resume" is written too, so a test sees how it was called.
COUNTING = 'import sys; open(sys.argv[1], "a").write(" ".join(sys.argv[2:]) + ";")'


def counting_step(folder, name='one', code=COUNTING, **kwargs):
    output = folder / f'{name}.txt'
    return Step(
        name=name,
        title=f'step {name}',
        command=('python', '-c', code, str(output)),
        home=folder,
        outputs=(output,),
        **kwargs,
    )


def run(step):
    stream = io.StringIO()
    step.run(Console(f'[1/1] {step.title}', stream))
    return stream.getvalue()


class TestStep:
    def test_finished_step_is_skipped_and_keeps_its_seconds(self, tmp_path):
        step = counting_step(tmp_path)
        assert 'finished in' in run(step)
        marker = json.loads(step.marker.read_text())
        assert marker['finished'] and marker['command'].startswith('python -c')
        assert 'skipped' in run(step)
        assert (tmp_path / 'one.txt').read_text() == ';'
        assert step.run(Console('', io.StringIO())) == marker['seconds']

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

    def test_a_shown_step_writes_to_the_terminal_below_its_title(self, tmp_path, capfd):
        class Terminal(io.StringIO):
            def isatty(self):
                return True

        step = counting_step(tmp_path, code='import sys; print("from below"); open(sys.argv[1], "w")', shown=True)
        stream = Terminal()
        step.run(Console('title', stream))
        assert 'title ...\n$ python -c' in stream.getvalue()
        assert 'from below' in capfd.readouterr().out and not step.log.exists()

    def test_missing_output_is_a_failure(self, tmp_path):
        with pytest.raises(StepFailedError, match='did not write .*one.txt'):
            run(counting_step(tmp_path, code='pass'))

    def test_interrupted_training_resumes_and_adds_up_its_time(self, tmp_path):
        step = counting_step(tmp_path, work_dir=tmp_path / 'work', resume_flag='--auto-resume')
        step.write_marker(finished=False, seconds=100.0)
        step.work_dir.mkdir()
        (step.work_dir / 'epoch_1.pth').touch()
        assert step.run(Console('', io.StringIO())) >= 100.0
        assert (tmp_path / 'one.txt').read_text() == '--auto-resume;'
        assert (step.work_dir / 'epoch_1.pth').exists()

    def test_changed_training_starts_over_in_an_empty_folder(self, tmp_path):
        kwargs = {'work_dir': tmp_path / 'work', 'resume_flag': '--auto-resume'}
        counting_step(tmp_path, settings='old', **kwargs).write_marker(finished=False, seconds=100.0)
        (tmp_path / 'work').mkdir()
        (tmp_path / 'work' / 'epoch_1.pth').touch()
        assert counting_step(tmp_path, settings='new', **kwargs).run(Console('', io.StringIO())) < 100.0
        assert (tmp_path / 'one.txt').read_text() == ';'
        assert not (tmp_path / 'work').exists()

    def test_foreign_folder_is_never_deleted(self, tmp_path):
        step = counting_step(tmp_path, work_dir=tmp_path / 'work', resume_flag='--auto-resume')
        step.work_dir.mkdir()
        (step.work_dir / 'precious').touch()
        with pytest.raises(StepFailedError, match='it did not make'):
            run(step)
        assert (step.work_dir / 'precious').exists()

    def test_half_written_marker_counts_as_none(self, tmp_path):
        step = counting_step(tmp_path)
        step.marker.parent.mkdir(parents=True)
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

    def test_independent_steps_run_side_by_side_with_their_share_of_threads(self, tmp_path, monkeypatch, capsys):
        monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
        steps = [self.meeting(tmp_path, 'one', 'two'), self.meeting(tmp_path, 'two', 'one')]
        assert list(run_steps(steps, jobs=2)) == ['one', 'two']
        assert (tmp_path / 'one.txt').read_text() == str(max(1, (os.cpu_count() or 1) // 2))
        assert sum('finished in' in line for line in capsys.readouterr().out.splitlines()) == 2

    def test_a_step_waits_for_those_it_comes_after(self, tmp_path):
        one = counting_step(tmp_path, 'one')
        code = f'import sys, pathlib; assert pathlib.Path({str(tmp_path / "one.txt")!r}).exists(); ' + COUNTING
        two = counting_step(tmp_path, 'two', code=code, after=(one,))
        assert list(run_steps([one, two], jobs=2)) == ['one', 'two']
        with pytest.raises(ValueError, match="step 'two' comes after one, which will never run"):
            run_steps([two], jobs=2)

    def test_one_job_runs_one_at_a_time_in_the_environment_as_it_is(self, tmp_path, monkeypatch):
        monkeypatch.setenv('OMP_NUM_THREADS', '7')
        code = 'import os, sys, pathlib; here = pathlib.Path(sys.argv[1]).parent; busy = here / "busy"\n'
        code += 'busy.touch(exist_ok=False); open(sys.argv[1], "w").write(os.environ["OMP_NUM_THREADS"]); busy.unlink()'
        run_steps([counting_step(tmp_path, name, code=code) for name in ('one', 'two')])
        assert [(tmp_path / f'{name}.txt').read_text() for name in ('one', 'two')] == ['7', '7']

    def test_finished_is_called_after_each_step_and_each_done_before(self, tmp_path):
        steps = [counting_step(tmp_path, name) for name in ('one', 'two')]
        run(steps[0])
        done = []
        run_steps(steps, finished=lambda: done.append([step.is_done() for step in steps]))
        assert done == [[True, False], [True, True]]

    def test_a_failure_stops_the_other_steps(self, tmp_path):
        long = counting_step(tmp_path, 'long', code='import time; time.sleep(600)')
        broken = counting_step(tmp_path, 'broken', code='raise SystemExit(3)')
        start = time.monotonic()
        with pytest.raises(StepFailedError, match='exit code 3'):
            run_steps([long, broken], jobs=2)
        assert time.monotonic() - start < 300 and not long.is_done()  # a busy machine needs its time

    def test_stop_ends_a_running_step(self, tmp_path):
        stop = threading.Event()
        stop.set()
        step = counting_step(tmp_path, code='import time; time.sleep(60)')
        with pytest.raises(StepStoppedError):
            step.run(Console('', io.StringIO()), stop=stop)
        assert step.read_marker()['finished'] is False

    @pytest.mark.parametrize('ctrl_c, first', [(signal.SIG_IGN, 'SIGTERM'), (signal.default_int_handler, 'SIGINT')])
    def test_what_ignores_ctrl_c_is_terminated_at_once(self, tmp_path, monkeypatch, ctrl_c, first):
        stop, sent, send = threading.Event(), [], os.killpg
        stop.set()
        monkeypatch.setattr(
            os, 'killpg', lambda group, kind: sent.append(signal.Signals(kind).name) or send(group, kind)
        )
        before = signal.signal(signal.SIGINT, ctrl_c)
        try:
            with pytest.raises(StepStoppedError):
                counting_step(tmp_path, code='import time; time.sleep(600)').run(Console('', io.StringIO()), stop=stop)
        finally:
            signal.signal(signal.SIGINT, before)
        assert sent == [first]


class TestRunToTheEnd:
    def test_a_kill_interrupts_and_the_callers_handler_comes_back(self, capsys, tmp_path):
        def terminated(number, frame):
            raise AssertionError('the handler of the caller was called')

        command = ('python', '-c', f'import os, signal, time; os.kill({os.getpid()}, signal.SIGTERM); time.sleep(60)')
        step = Step('a', 'A', command, tmp_path)
        before = signal.signal(signal.SIGTERM, terminated)
        try:
            assert run_to_the_end(step.run) == (130, None)
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
