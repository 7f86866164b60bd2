"""The ablation compares what it should, keeps every run, resumes, and reports the right statistics."""

import dataclasses
import json
import sys
from pathlib import Path

import cv2
import pytest
from mmcv import Config

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'tools'))

import ablation  # noqa: E402
from data_converter.make_synthetic_nuscenes import settings_of  # noqa: E402
from experiments.ablation import studies  # noqa: E402
from experiments.ablation.configs import add_config, choose_configs, with_teacher  # noqa: E402
from experiments.ablation.rows import read_rows, time_left  # noqa: E402
from experiments.ablation.runs import Ablation  # noqa: E402
from experiments.command_line import as_flags  # noqa: E402
from workflow.step import Step  # noqa: E402

# In place of the tools: leaves what they leave, with scores out of scores.json by folder, and notes every call.
STUB = """
import json, sys
from pathlib import Path
here, outputs, (tool, *words) = Path(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3:]
with open(here / 'calls.txt', 'a') as file:
    file.write(' '.join([tool, *words]) + chr(10))
folder = Path(words[words.index('--work-dir') + 1]) if '--work-dir' in words else here
folder.mkdir(parents=True, exist_ok=True)
if tool == 'tools/train.py':
    (folder / 'epoch_1.pth').touch()
    if (here / ('break_' + folder.name)).exists():
        sys.exit(3)
    records = [dict(mode='train', epoch=e, iter=5, loss=3.0 / e, grad_norm=1.0, raw_fg=9.0) for e in (1, 2)]
    (folder / '1.log.json').write_text(chr(10).join(map(json.dumps, records)))
elif tool == 'tools/test.py':
    mAP, NDS = json.loads((here / 'scores.json').read_text())[folder.parent.name]
    rest = dict.fromkeys(('mATE', 'mASE', 'mAOE', 'mAAE'), 0.5)
    (folder / 'eval_1.json').write_text(json.dumps(dict(mAP=mAP, NDS=NDS, mAVE=1 - mAP, **rest)))
for path in map(Path, outputs):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
"""
SCORES = {
    'teacher': (0.5, 0.5), 'baseline': (0.2, 0.3), 'distilled': (0.25, 0.29),
    'teacher_seed1': (0.6, 0.55), 'baseline_seed1': (0.3, 0.4), 'distilled_seed1': (0.31, 0.5),
    'teacher_seed2': (0.4, 0.4), 'baseline_seed2': (0.1, 0.1), 'distilled_seed2': (0.1, 0.1),
}  # fmt: skip


@pytest.fixture
def configs(tmp_path):
    """Config files with what a plan reads: a teacher, one student without and one with it."""
    files = {}
    for name in ('toy_teacher', 'baseline', 'distilled'):
        teacher = f'teacher=dict(config={files["toy_teacher"]!r})' if name == 'distilled' else ''
        files[name] = str(tmp_path / f'{name}.py')
        Path(files[name]).write_text(
            "data = dict(val=dict(data_root='data/toy/', ann_file='data/toy/val.pkl'))\nrunner = dict(max_epochs=2)\n"
            f'model = dict({teacher})\n'
        )
    return files


class TestConfigs:
    def test_names_files_and_commas(self, configs):
        known = {'a': configs['baseline'], 'b': configs['distilled']}
        assert choose_configs(None, known) == known
        chosen = choose_configs(['b,a', configs['distilled']], known)
        assert list(chosen.items()) == [
            ('b', configs['distilled']), ('a', configs['baseline']), ('distilled', configs['distilled']),
        ]  # fmt: skip

    @pytest.mark.parametrize('word', ['c', 'nowhere/c.py', 'README.md'])
    def test_unknown_config_is_named_with_the_choice(self, configs, word):
        with pytest.raises(ValueError, match=f'unknown config "{word}": give a config file or one of a, b'):
            choose_configs(['a', word], {'a': configs['baseline'], 'b': configs['distilled']})

    def test_a_name_stands_for_one_file(self, configs):
        add_config(chosen := {'a': 'a.py'}, 'a', 'a.py')
        assert chosen == {'a': 'a.py'}
        with pytest.raises(ValueError, match='two configs are named "a", a.py and other/a.py'):
            add_config(chosen, 'a', 'other/a.py')
        with pytest.raises(ValueError, match='name of the teacher'):
            add_config(chosen, 'teacher', 'teacher.py')

    def test_the_teacher_comes_first_and_only_where_needed(self, configs, tmp_path):
        baseline = {'baseline': configs['baseline']}
        both = {**baseline, 'distilled': configs['distilled']}
        assert with_teacher(baseline) == baseline
        assert list(with_teacher(both).items()) == [('teacher', configs['toy_teacher']), *both.items()]
        other = tmp_path / 'other.py'
        other.write_text("model = dict(teacher=dict(config='other_teacher.py'))\n")
        with pytest.raises(ValueError, match='different teachers .*other: other_teacher.py'):
            with_teacher({**both, 'other': str(other)})

    def test_the_toy_configs_are_those_of_the_folder_but_for_those_on_demand(self):
        folder = {path.relative_to(ROOT).as_posix() for path in (ROOT / 'configs' / 'ablation').glob('*.py')}
        on_demand = {f'configs/ablation/aoa_{name}.py' for name in ('residual', 'identity', 'content', 'lowres')}
        assert set(studies.METHOD.configs.values()) == folder - on_demand
        assert on_demand <= folder

    def test_those_of_unlabelled_scenes_are_those_of_the_folder_but_for_those_on_demand(self):
        folder = {path.relative_to(ROOT).as_posix() for path in (ROOT / 'configs' / 'unlabelled').glob('*.py')}
        on_demand = {f'configs/unlabelled/aoa_{name}.py' for name in ('residual', 'content', 'lowres')}
        first, second = studies.UNLABELLED.configs.values(), studies.UNLABELLED_BEVFORMER.configs.values()
        assert set(first) | set(second) == folder - on_demand and not set(first) & set(second)
        assert on_demand <= folder

    @pytest.mark.parametrize('study', [studies.METHOD, studies.FULL_SIZE], ids=['toy', 'full'])
    def test_each_size_has_the_seven_configs_one_teacher_and_data_of_its_own(self, study, monkeypatch):
        monkeypatch.chdir(ROOT)
        assert list(study.configs) == list(studies.METHOD.configs)
        models = with_teacher(study.configs)
        assert len(models) == 8
        budgets = {str(Config.fromfile(file).runner) for name, file in study.configs.items()}
        assert len(budgets) == 1
        settings_of(['--out-dir', 'x', *map(str, as_flags(study.synthetic))])
        samples = 'dbinfos' in Config.fromfile(models['teacher']).pretty_text
        assert samples == study.database and study.data_root != Path('data/nuscenes')

    def test_the_world_of_history_is_one_of_cars_that_turn(self):
        settings = settings_of(['--out-dir', 'x', *map(str, as_flags(studies.HISTORY.synthetic))])
        assert {name for name, count in settings.objects.items() if count} == {'car'} and settings.ego_turn[0] > 0


@pytest.fixture
def workplace(configs, tmp_path, monkeypatch):
    """``call(*words)`` runs the ablation with stubs for tools; returns status, results and the calls of the stubs."""
    monkeypatch.chdir(tmp_path)  # main changes folder; this brings the old one back
    (tmp_path / 'stub.py').write_text(STUB)
    (tmp_path / 'scores.json').write_text(json.dumps(SCORES))

    def stubbed(name, title, command, home, outputs=(), **kwargs):
        words = [tmp_path / 'stub.py', tmp_path, json.dumps([str(path) for path in outputs]), *command]
        return Step(name, title, ('python', *map(str, words)), home, outputs=outputs, **kwargs)

    monkeypatch.setattr(Step, 'of_tool', stubbed)

    def call(*words):
        (tmp_path / 'calls.txt').write_text('')
        fixed = ['--out-dir', str(tmp_path / 'out'), '--data-root', str(tmp_path / 'data'), '--jobs', '1']
        status = ablation.main([*fixed, *words])
        path = tmp_path / 'out' / 'results.json'
        results = json.loads(path.read_text()) if path.exists() else None
        return status, results, (tmp_path / 'calls.txt').read_text().splitlines()

    return call


def trained(calls):
    """Work folders of the trainings among the calls."""
    words = [line.split() for line in calls if line.startswith('tools/train.py')]
    return [Path(line[line.index('--work-dir') + 1]).name for line in words]


def keys(results):
    return [(entry['config'], entry['seed']) for entry in results['runs']]


class TestRuns:
    def test_from_nothing_to_the_report(self, workplace, configs, tmp_path, capsys):
        both = ['--configs', configs['baseline'], configs['distilled']]
        status, results, calls = workplace('--seeds', '0,1', *both)
        assert status == 0
        assert trained(calls) == [
            'teacher', 'baseline', 'distilled', 'teacher_seed1', 'baseline_seed1', 'distilled_seed1',
        ]  # fmt: skip
        assert keys(results) == [('baseline', 0), ('baseline', 1), ('distilled', 0), ('distilled', 1)]
        last = results['runs'][3]
        assert (last['mAP'], last['NDS'], last['loss_terms']) == (0.31, 0.5, {'loss': 1.5})
        assert (last['teacher']['mAP'], last['teacher']['NDS']) == (0.6, 0.55) and last['seconds'] >= 0
        assert results['runs'][0]['teacher'] is None
        (group,) = results['summary']
        gain = group['configs']['distilled']['gain']
        assert gain['mAP']['per_seed'] == pytest.approx({'0': 0.05, '1': 0.01}) and gain['mAP']['sign'] == '+'
        assert gain['NDS']['mean'] == pytest.approx(0.045) and gain['NDS']['sign'] == 'mixed'
        report = (tmp_path / 'out' / 'report.md').read_text()
        scenes, held_out = studies.SYNTHETIC['scenes'], studies.SYNTHETIC['val-scenes']
        assert '+0.030 ± 0.020 | +' in report
        assert f'trained on {scenes - held_out} scenes' in report and f'evaluated on {held_out} scenes' in report
        assert cv2.imread(str(tmp_path / 'out' / 'scores.png')).shape[2] == 3
        assert not list((tmp_path / 'out').glob('*.tmp'))
        assert '+0.030 ± 0.020' in capsys.readouterr().out

    def test_a_broken_run_leaves_a_partial_table_and_is_resumed(self, workplace, configs, tmp_path, capsys):
        words = ['--seeds', '0', '--configs', configs['baseline'], configs['distilled']]
        (tmp_path / 'break_distilled').touch()
        status, results, _ = workplace(*words)
        assert status == 1 and keys(results) == [('baseline', 0)]
        assert 'finished run(s)' in capsys.readouterr().out
        (tmp_path / 'break_distilled').unlink()
        status, results, calls = workplace(*words)
        assert status == 0 and keys(results) == [('baseline', 0), ('distilled', 0)]
        assert trained(calls) == ['distilled'] and calls[0].endswith('--auto-resume')
        status, again, calls = workplace(*words)
        assert status == 0 and calls == [] and again == results

    def test_runs_of_earlier_calls_stay(self, workplace, configs):
        workplace('--seeds', '2', '--configs', configs['distilled'], configs['baseline'])
        status, results, calls = workplace('--seeds', '0', '--configs', configs['baseline'])
        assert status == 0 and trained(calls) == ['baseline']  # which needs no teacher
        assert keys(results) == [('baseline', 0), ('baseline', 2), ('distilled', 2)]

    def test_runs_with_other_settings_leave(self, workplace, configs, capsys):
        workplace('--seeds', '0,1', '--configs', configs['baseline'])
        with open(configs['baseline'], 'a') as file:
            file.write('optimizer = dict(lr=1)\n')
        _, results, calls = workplace('--seeds', '0', '--configs', configs['baseline'])
        assert trained(calls) == ['baseline'] and keys(results) == [('baseline', 0)]
        printed = capsys.readouterr().out
        assert printed.count('baseline seed 1 leaves the table') == 1 and 'seed 0 leaves' not in printed

    def test_report_only_runs_nothing(self, workplace, configs, tmp_path):
        _, results, _ = workplace('--seeds', '1', '--configs', configs['baseline'])
        (tmp_path / 'out' / 'report.md').unlink()
        (tmp_path / 'out' / 'scores.png').unlink()
        status, again, calls = workplace('--report-only')
        assert status == 0 and calls == [] and again == results
        assert '| baseline | 1 | 0.300 | 0.400 | 0.500 | 0.700 |' in (tmp_path / 'out' / 'report.md').read_text()
        assert (tmp_path / 'out' / 'scores.png').stat().st_size > 0

    def test_a_report_of_an_older_version_is_refused(self, workplace, configs, tmp_path, capsys):
        _, results, _ = workplace('--seeds', '1', '--configs', configs['baseline'])
        del results['setting']['evaluation']
        (tmp_path / 'out' / 'results.json').write_text(json.dumps(results))
        with pytest.raises(ValueError, match=r'results\.json is of an older version'):
            workplace('--report-only')

    def test_errors_are_one_line_and_leave_nothing(self, workplace, tmp_path):
        for words, said in ((['--report-only'], 'has no runs to report'), (['--configs', 'nonsense'], 'nonsense')):
            with pytest.raises(ValueError, match=said) as error:
                workplace(*words)
            assert '\n' not in str(error.value) and (tmp_path / 'calls.txt').read_text() == ''
        assert not (tmp_path / 'out').exists()


def test_evaluated_on_scenes_of_another_seed_unless_the_user_brings_data(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    words = ['--out-dir', str(tmp_path / 'out')]
    own = Ablation(ablation.parse_args(words))
    assert own.setting['evaluation']['data_root'] == 'data/ablation_evaluation'
    assert own.setting['evaluation']['settings']['val_scenes'] == 100
    assert own.setting['evaluation']['settings']['seed'] != own.setting['training']['settings']['seed']
    assert 'eval_prepare_4d' in [step.name for step in own.steps]
    users = Ablation(ablation.parse_args([*words, '--data-root', str(tmp_path)]))
    assert users.setting['evaluation'] == users.setting['training']
    assert 'eval_prepare_4d' not in [step.name for step in users.steps]


def test_labels_of_a_study_without_a_choice_are_refused(capsys):
    with pytest.raises(SystemExit):
        ablation.parse_args(['--study', 'history', '--labels', '20'])
    said = '--labels is for --study unlabelled and --study unlabelled_bevformer: the other studies train on all labels'
    assert said in capsys.readouterr().err


def test_words_that_are_no_seeds_or_jobs(capsys):
    for words in (['--seeds', '0,x'], ['--seeds=-1'], ['--jobs', '0']):
        with pytest.raises(SystemExit):
            ablation.parse_args(words)
    args = ablation.parse_args([])
    assert args.seeds == [0, 1, 2] and args.out_dir == Path('outputs/ablation')
    assert ablation.parse_args(['--full-size']).out_dir == Path('outputs/ablation_full_size')
    assert ablation.parse_args(['--study', 'history']).study is studies.HISTORY
    assert args.labels == (None,)
    unlabelled = ablation.parse_args(['--study', 'unlabelled'])
    assert unlabelled.labels == (10, 20, 100) and unlabelled.out_dir == Path('outputs/ablation_unlabelled')
    assert ablation.parse_args(['--study', 'unlabelled', '--labels', '20,5,20']).labels == (5, 20)
    for words in (
        ['--study', 'history', '--full-size'], ['--labels', '20'], ['--study', 'unlabelled', '--labels', '0'],
        ['--study', 'unlabelled', '--labels', '0.2'],
    ):  # fmt: skip
        with pytest.raises(SystemExit):
            ablation.parse_args(words)


def test_foreign_results_are_not_taken_for_ours(tmp_path):
    path = tmp_path / 'results.json'
    assert read_rows(path) == ([], {})
    for content in ('{"runs": ', '{"teacher": {}}', '[1]'):
        path.write_text(content)
        with pytest.raises(ValueError, match='results.json is not the results.json of an ablation'):
            read_rows(path)
    path.write_text(json.dumps({'runs': [{'config': 'x'}], 'setting': {}}))
    with pytest.raises(ValueError, match='a run without NDS, config_file, labels, loss_terms, mAOE'):
        read_rows(path)


def test_time_left(tmp_path):
    def step(name, seconds=None):
        made = Step.of_tool(name, name, [name], tmp_path)
        if seconds is not None:
            made.write_marker(finished=True, seconds=seconds)
        return made

    pairs = [(step('t0', 100.0), step('e0', 10.0)), (step('t1', 200.0), step('e1')), (step('t2'), step('e2'))]
    # one training of 150 s on average and two evaluations of 10 s, two at a time
    assert time_left(pairs, jobs=2) == pytest.approx((150.0 + 2 * 10.0) / 2)
    assert time_left(pairs[2:], jobs=2) is None


@pytest.mark.slow
def test_the_real_tools_from_data_to_report(tmp_path, monkeypatch, repo_root):
    """One epoch of a few samples: data, teacher, baseline and DualDistill, trained and evaluated by the real tools."""
    monkeypatch.chdir(repo_root)
    short = 'runner = dict(max_epochs=1)\ndata = dict(samples_per_gpu=2)\nlog_config = dict(interval=1)\n'
    for name, base in (('toy_teacher', 'quickstart/centerpoint_toy'), ('baseline', 'ablation/baseline'),
                       ('dualdistill', 'ablation/dualdistill')):  # fmt: skip
        teacher = f'model = dict(teacher=dict(config="{tmp_path}/toy_teacher.py"))\n' if name == 'dualdistill' else ''
        (tmp_path / f'{name}.py').write_text(f'_base_ = "{repo_root}/configs/{base}.py"\n{short}{teacher}')
    synthetic = {'scenes': 3, 'keyframes': 2, 'extent': 19.0, 'version': 'v1.0-mini', 'lidar-azimuth-steps': 180}
    study = dataclasses.replace(
        studies.METHOD, synthetic=synthetic, data_root=tmp_path / 'data',
        evaluate_on=(tmp_path / 'evaluation', {**synthetic, 'seed': 1}),
    )  # fmt: skip
    monkeypatch.setitem(studies.STUDIES, 'method', study)
    files = [str(tmp_path / f'{name}.py') for name in ('baseline', 'dualdistill')]
    assert ablation.main(['--seeds', '1', '--out-dir', str(tmp_path / 'out'), '--configs', *files]) == 0
    results = json.loads((tmp_path / 'out' / 'results.json').read_text())
    assert keys(results) == [('baseline', 1), ('dualdistill', 1)]
    assert all(0 <= entry['NDS'] <= 1 and entry['seconds'] > 0 for entry in results['runs'])
    baseline, distilled = (set(entry['loss_terms']) for entry in results['runs'])
    assert {'loss', 'loss_depth', 'task0.loss_heatmap'} <= baseline < distilled
    assert {'distill.head.loss_fp', 'crd.task0.loss_bbox'} <= distilled - baseline
    assert results['runs'][1]['teacher']['seconds'] > 0
