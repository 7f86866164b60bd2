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
from experiments.ablation.configs import add_config, choose_configs, with_teacher  # noqa: E402
from experiments.ablation.report import build_report, runs_table, summary_table  # noqa: E402
from experiments.ablation.rows import read_rows, time_left  # noqa: E402
from experiments.ablation.runs import Ablation  # noqa: E402
from experiments.ablation.summary import sign, spread, summarise  # noqa: E402
from experiments.command_line import as_flags  # noqa: E402
from workflow.step import Step  # noqa: E402

DATA = {'data_root': 'data/x', 'settings': {'scenes': 8, 'val_scenes': 2, 'keyframes': 3}}
SETTING = {'machine': 'a machine', 'training': DATA, 'evaluation': {**DATA, 'data_root': 'data/y'}}

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


def row(config, seed, mAP, NDS, **kwargs):
    common = {'config_file': f'{config}.py', 'loss_terms': {}, 'seconds': 60.0, 'teacher': None}
    return {**common, 'config': config, 'seed': seed, 'mAP': mAP, 'NDS': NDS, 'mAVE': 1 - mAP, **kwargs}


class TestSummary:
    ROWS = [
        row('baseline', 0, 0.1, 0.2), row('baseline', 1, 0.3, 0.4), row('baseline', 2, 0.2, 0.3),
        row('x', 0, 0.2, 0.2), row('x', 1, 0.5, 0.3), row('x', 2, 0.5, 0.4),
    ]  # fmt: skip

    def test_means_and_standard_deviations(self):
        summary = summarise(self.ROWS)
        assert list(summary) == ['baseline', 'x'] and summary['x']['seeds'] == [0, 1, 2]
        # 0.1, 0.3, 0.2: mean 0.2, squares of the differences 0.01 + 0.01 + 0, over n - 1 = 2
        assert summary['baseline']['mAP'] == pytest.approx({'mean': 0.2, 'std': 0.1})
        # 0.2, 0.5, 0.5: mean 0.4, squares 0.04 + 0.01 + 0.01 = 0.06, over 2
        assert summary['x']['mAP'] == pytest.approx({'mean': 0.4, 'std': 0.03**0.5})

    def test_gains_are_those_of_the_same_seed(self):
        summary = summarise(self.ROWS)
        assert 'gain' not in summary['baseline']
        gain = summary['x']['gain']
        assert gain['mAP']['per_seed'] == pytest.approx({'0': 0.1, '1': 0.2, '2': 0.3})
        assert gain['mAP']['mean'] == pytest.approx(0.2) and gain['mAP']['std'] == pytest.approx(0.1)
        assert gain['mAP']['sign'] == '+'
        assert gain['NDS']['per_seed'] == pytest.approx({'0': 0.0, '1': -0.1, '2': 0.1})
        assert gain['NDS']['mean'] == pytest.approx(0.0) and gain['NDS']['sign'] == 'mixed'

    def test_only_common_seeds_are_compared(self):
        summary = summarise([row('x', 1, 0.5, 0.5), row('baseline', 0, 0.1, 0.1), row('x', 0, 0.2, 0.0)])
        assert summary['x']['gain']['mAP']['per_seed'] == pytest.approx({'0': 0.1})
        assert summary['x']['gain']['mAP']['std'] is None and summary['x']['gain']['NDS']['sign'] == '-'
        assert 'gain' not in summarise([row('x', 1, 0.5, 0.5), row('baseline', 0, 0.1, 0.1)])['x']
        assert 'gain' not in summarise([row('x', 0, 0.5, 0.5)])['x']

    def test_sign_and_spread(self):
        assert [sign(values) for values in ([0.1, 0.2], [-0.1], [0.0], [0.1, 0.0])] == ['+', '-', 'mixed', 'mixed']
        assert spread([0.5]) == {'mean': 0.5, 'std': None}


class TestTables:
    def test_of_one_run(self):
        rows = [row('dualdistill', 4, 0.25, 0.5)]
        assert summary_table(summarise(rows)) == [
            ['config', 'seeds', 'mAP', 'NDS', 'mAVE'],
            ['dualdistill', '1', '0.250', '0.500', '0.750'],
        ]
        report = build_report({'runs': rows, 'summary': summarise(rows), 'setting': SETTING})
        assert '| dualdistill | 4 | 0.250 | 0.500 | 0.750 |  |  |  | 1:00 |' in report
        assert 'trained on 6 scenes of 3 keyframes, `data/x`' in report and 'gain' not in report
        assert 'evaluated on 2 scenes of 3 keyframes, `data/y`' in report

    def test_of_several(self):
        table = summary_table(summarise(TestSummary.ROWS))
        gains = [word for score in ('mAP', 'NDS', 'mAVE') for word in (f'{score} gain', 'every seed')]
        assert table[0] == ['config', 'seeds', 'mAP', 'NDS', 'mAVE', *gains]
        assert table[1] == ['baseline', '3', '0.200 ± 0.100', '0.300 ± 0.100', '0.800 ± 0.100', *[''] * 6]
        assert table[2][5:] == ['+0.200 ± 0.100', '+', '+0.000 ± 0.100', 'mixed', '-0.200 ± 0.100', '-']

    def test_every_run_with_its_teacher(self):
        teacher = {'mAP': 0.5, 'NDS': 0.4, 'mAVE': 0.5, 'seconds': 30.0}
        rows = [row('x', 0, 0.1, 0.2, teacher=teacher), row('y', 0, 0.1, 0.2, teacher=teacher), row('x', 1, 0.3, 0.4)]
        assert [cells[1] for cells in runs_table(rows)] == ['seed', '0', '0', '1']
        assert runs_table(rows)[1][5:] == ['0.500', '0.400', '0.500', '1:00']
        # three runs of a minute and the one teacher of half a minute, counted once
        report = build_report({'runs': rows, 'summary': summarise(rows), 'setting': SETTING})
        assert '3 run(s), 3:30 of training and evaluation' in report


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
        on_demand = {'configs/ablation/aoa_residual.py'}
        assert set(ablation.TOY.configs.values()) == folder - on_demand
        assert on_demand <= folder

    @pytest.mark.parametrize('size', [ablation.TOY, ablation.FULL], ids=['toy', 'full'])
    def test_each_size_has_the_seven_configs_one_teacher_and_data_of_its_own(self, size, monkeypatch):
        monkeypatch.chdir(ROOT)
        assert tuple(size.configs) == ablation.NAMES
        models = with_teacher(size.configs)
        assert len(models) == 8
        budgets = {str(Config.fromfile(file).runner) for name, file in size.configs.items()}
        assert len(budgets) == 1
        settings_of(['--out-dir', 'x', *map(str, as_flags(size.synthetic))])
        samples = 'dbinfos' in Config.fromfile(models['teacher']).pretty_text
        assert samples == size.database and size.data_root != Path('data/nuscenes')

    def test_the_study_of_history_changes_the_history_alone(self, monkeypatch):
        monkeypatch.chdir(ROOT)
        assert with_teacher(ablation.HISTORY.configs) == ablation.HISTORY.configs
        alone, remembering = (Config.fromfile(ablation.HISTORY.configs[name]) for name in ('baseline', 'with_history'))
        assert alone.model.pop('history') is False and 'history' not in remembering.model
        queues = [cfg.data.train.pipeline[0].pop('queue_length') for cfg in (alone, remembering)]
        assert queues == [1, 2] == [alone.pop('queue_length'), remembering.pop('queue_length')]
        alone.train_pipeline = remembering.train_pipeline  # the variable; data.train holds what is read
        assert alone._cfg_dict == remembering._cfg_dict
        settings = settings_of(['--out-dir', 'x', *map(str, as_flags(ablation.HISTORY.synthetic))])
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
        gain = results['summary']['distilled']['gain']
        assert gain['mAP']['per_seed'] == pytest.approx({'0': 0.05, '1': 0.01}) and gain['mAP']['sign'] == '+'
        assert gain['NDS']['mean'] == pytest.approx(0.045) and gain['NDS']['sign'] == 'mixed'
        report = (tmp_path / 'out' / 'report.md').read_text()
        scenes, held_out = ablation.SYNTHETIC['scenes'], ablation.SYNTHETIC['val-scenes']
        assert '+0.030 ± 0.028 | +' in report
        assert f'trained on {scenes - held_out} scenes' in report and f'evaluated on {held_out} scenes' in report
        assert cv2.imread(str(tmp_path / 'out' / 'scores.png')).shape[2] == 3
        assert not list((tmp_path / 'out').glob('*.tmp'))
        assert '+0.030 ± 0.028' in capsys.readouterr().out

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
        assert '| baseline | 1 | 0.300 | 0.400 | 0.700 |' in (tmp_path / 'out' / 'report.md').read_text()
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


def test_words_that_are_no_seeds_or_jobs(capsys):
    for words in (['--seeds', '0,x'], ['--seeds=-1'], ['--jobs', '0']):
        with pytest.raises(SystemExit):
            ablation.parse_args(words)
    args = ablation.parse_args([])
    assert args.seeds == [0, 1, 2] and args.out_dir == Path('outputs/ablation')
    assert ablation.parse_args(['--full-size']).out_dir == Path('outputs/ablation_full_size')
    assert ablation.parse_args(['--study', 'history']).size is ablation.HISTORY
    with pytest.raises(SystemExit):
        ablation.parse_args(['--study', 'history', '--full-size'])


def test_foreign_results_are_not_taken_for_ours(tmp_path):
    path = tmp_path / 'results.json'
    assert read_rows(path) == ([], {})
    for content in ('{"runs": ', '{"teacher": {}}', '[1]'):
        path.write_text(content)
        with pytest.raises(ValueError, match='results.json is not the results.json of an ablation'):
            read_rows(path)
    path.write_text(json.dumps({'runs': [{'config': 'x'}], 'setting': {}}))
    with pytest.raises(ValueError, match='a run without NDS, config_file, loss_terms, mAP, mAVE'):
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
    size = dataclasses.replace(
        ablation.TOY, synthetic=synthetic, data_root=tmp_path / 'data',
        evaluate_on=(tmp_path / 'evaluation', {**synthetic, 'seed': 1}),
    )  # fmt: skip
    monkeypatch.setattr(ablation, 'TOY', size)
    files = [str(tmp_path / f'{name}.py') for name in ('baseline', 'dualdistill')]
    assert ablation.main(['--seeds', '1', '--out-dir', str(tmp_path / 'out'), '--configs', *files]) == 0
    results = json.loads((tmp_path / 'out' / 'results.json').read_text())
    assert keys(results) == [('baseline', 1), ('dualdistill', 1)]
    assert all(0 <= entry['NDS'] <= 1 and entry['seconds'] > 0 for entry in results['runs'])
    baseline, distilled = (set(entry['loss_terms']) for entry in results['runs'])
    assert {'loss', 'loss_depth', 'task0.loss_heatmap'} <= baseline < distilled
    assert {'distill.head.loss_fp', 'crd.task0.loss_bbox'} <= distilled - baseline
    assert results['runs'][1]['teacher']['seconds'] > 0
