"""The quick start's plan has the right commands in the right order, and its report the right numbers."""

import json
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'tools'))

import quickstart  # noqa: E402
from experiments.config_file import relocate  # noqa: E402
from experiments.plan import Plan  # noqa: E402
from experiments.quickstart_report import build_results, opening, table  # noqa: E402
from experiments.scores import scores_in  # noqa: E402
from workflow.step import Step  # noqa: E402

from dualdistill_cli.tables import as_markdown, as_text  # noqa: E402

METRICS = {'mAP': 0.5, 'NDS': 0.4, 'mATE': 0.1, 'mASE': 0.2, 'mAOE': 0.3, 'mAVE': 0.4, 'mAAE': 0.6}


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
    return Plan(configs, synthetic, tmp_path / 'out', data_root, list(seeds), pictures={'num': 2}, **kwargs)


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
        plan = Plan(quickstart.MVP_CONFIGS, synthetic, tmp_path / 'out', None, [0])
        assert plan.data_root == Path('data/quickstart_mvp')
        for name, steps in plan.runs[0].items():
            own = plan.configs[name].data.train.data_root == 'data/quickstart_mvp/'
            for step in steps:
                moved = [word for word in step.command if word.startswith('data.train.ann_file=')]
                assert own or moved[0].startswith('data.train.ann_file=data/quickstart_mvp/'), step.command

    def test_few_labels_are_the_same_ones_for_all_three(self, repo_root, monkeypatch):
        monkeypatch.chdir(repo_root)
        plan = quickstart.make_plan(quickstart.parse_args(['--seeds', '3']))
        (teacher, _), (start, _), (student, _), (distilled, _) = (plan.runs[3][name] for name in quickstart.CONFIGS)
        assert start in student.after and start in distilled.after
        for step, place in ((teacher, 'labelled'), (start, 'labelled'), (student, 'labelled'), (distilled, 'scenes')):
            assert {f'data.train.{place}.share=0.2', f'data.train.{place}.seed=3'} <= set(step.command)
        assert f'model.teacher.checkpoint={plan.checkpoint("teacher", 3)}' in distilled.command
        everything = quickstart.make_plan(quickstart.parse_args(['--labels', 'all']))
        assert not any('labelled' in word for step in everything.steps for word in step.command)

    def test_the_bevformer_family_has_data_and_results_of_its_own(self, tmp_path, repo_root, monkeypatch):
        monkeypatch.chdir(repo_root)
        plan = quickstart.make_plan(quickstart.parse_args(['--family', 'bevformer']))
        assert plan.data_root == Path('data/quickstart_bevformer')
        assert plan.out_dir == Path('outputs/quickstart_bevformer')
        names = [step.name for step in plan.steps]
        assert names[:4] == ['synthetic_data', 'create_data', 'train_teacher', 'eval_teacher']
        words = plan.steps[0].command
        assert words[words.index('--ego-turn') + 1 : words.index('--ego-turn') + 3] == ('10', '40')
        # nothing is moved: the configs name the folders that the plan writes
        assert not any(word.startswith('data.') for step in plan.steps for word in step.command)
        distilled = plan.configs['dualdistill'].model.teacher.checkpoint
        assert Path(distilled) == plan.checkpoint('teacher', 0)

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
            ('experiments.data_steps.SCHEMA', 'dualdistill-nuscenes/99', 1),
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
    def test_scores_are_those_of_the_newest_evaluation_without_prefix_and_nesting(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r'no eval_\*\.json in'):
            scores_in(tmp_path)
        (tmp_path / 'eval_1.json').write_text(json.dumps({'mAP': 1.0}))
        with pytest.raises(ValueError, match='eval_1.json: no NDS'):
            scores_in(tmp_path)
        content = {'metric': {f'pts_bbox_NuScenes/{key}': value for key, value in METRICS.items()}}
        (tmp_path / 'eval_2.json').write_text(json.dumps(content))
        os.utime(tmp_path / 'eval_1.json', (0, 0))
        assert scores_in(tmp_path) == METRICS

    def test_results_layout(self):
        one = {'teacher': METRICS, 'student': METRICS}
        results = build_results({0: one}, {'a': 1.04, 'b': 2.0}, wall=2.04)
        assert set(results) == {'teacher', 'student', 'seconds'}
        assert results['seconds'] == {'a': 1.0, 'b': 2.0, 'total': 3.0, 'this_call': 2.0}
        several = build_results({0: one, 5: one}, {}, wall=0.0)
        assert several['seeds']['5']['student'] == METRICS and several['teacher'] == METRICS

    def test_the_opening_is_about_the_means(self):
        scores = [(0.2, 0.3), (0.4, 0.45)]
        per_seed = {
            seed: {'student': {'mAP': student}, 'dualdistill': {'mAP': distilled}}
            for seed, (student, distilled) in enumerate(scores)
        }
        few, all_labels = (opening(per_seed, labelled) for labelled in (20, None))
        assert 'in the 20 % of the scenes with labels. It reaches a precision (mAP) of 0.300.' in few
        assert 'in the others, it reaches 0.375' in few
        assert 'labels' not in all_labels and 'of 0.300' in all_labels and 'reaches 0.375' in all_labels

    def test_tables(self):
        rows = table({0: {'teacher': METRICS}, 1: {'teacher': METRICS}})
        assert rows[1] == ['0', 'teacher', '0.500', '0.400', '0.100', '0.200', '0.300', '0.400', '0.600']
        assert as_text(rows, 'model').splitlines()[1].split() == rows[1]
        assert as_markdown(rows).splitlines()[1] == '|' + '---|' * 9
        assert table({0: {'teacher': METRICS}})[0][0] == 'model'


def touching_step(folder, code='import sys; open(sys.argv[1], "w")'):
    return Step('one', 'one', ('python', '-c', code, str(folder / 'one.txt')), folder, (folder / 'one.txt',))


class TestMain:
    def fake(self, monkeypatch, tmp_path, configs, steps):
        monkeypatch.chdir(tmp_path)  # main changes folder; this brings the old one back
        monkeypatch.setattr(quickstart, 'ALL_LABELS_CONFIGS', configs)
        monkeypatch.setattr(Plan, 'steps', property(lambda plan: steps(plan)))

    def test_writes_results_and_report(self, configs, tmp_path, monkeypatch, capsys):
        def steps(plan):
            for name, gain in (('teacher', 0.2), ('student', 0.0), ('dualdistill', 0.1)):
                folder = plan.run_dir(name, 0) / 'eval'
                folder.mkdir(parents=True, exist_ok=True)
                (folder / 'eval_1.json').write_text(json.dumps({**METRICS, 'mAP': 0.5 + gain}))
            (plan.out_dir / 'pictures').mkdir(exist_ok=True)
            (plan.out_dir / 'pictures' / 'sample0.png').touch()
            return [touching_step(tmp_path)]

        self.fake(monkeypatch, tmp_path, configs, steps)
        out = tmp_path / 'out'
        assert quickstart.main(['--labels', 'all', '--out-dir', str(out)]) == 0
        results = json.loads((out / 'results.json').read_text())
        assert results['dualdistill']['mAP'] == 0.6 and 'one' in results['seconds']
        report = (out / 'report.md').read_text()
        assert '![sample0](pictures/sample0.png)' in report and '(curves.png)' in report
        assert report.index('(mAP) of 0.500') < report.index('sample0.png') < report.index('## Metrics')
        assert 'distillation changes mAP by +0.100 and NDS by +0.000' in report
        assert 'teacher' in capsys.readouterr().out

    def test_the_mvp_run_reports_every_comparison(self, configs, tmp_path, monkeypatch, capsys):
        scores = {'teacher_lidar': 0.1, 'teacher': 0.3, 'student': 0.0, 'dualdistill_lidar': 0.04, 'dualdistill': 0.05}

        def steps(plan):
            for name, value in scores.items():
                folder = plan.run_dir(name, 0) / 'eval'
                folder.mkdir(parents=True, exist_ok=True)
                (folder / 'eval_1.json').write_text(json.dumps({**METRICS, 'mAP': value}))
            return [touching_step(tmp_path)]

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

    def test_the_bevformer_report_says_what_its_numbers_mean(self, configs, tmp_path, monkeypatch, capsys):
        def steps(plan):
            for name in plan.configs:
                folder = plan.run_dir(name, 0) / 'eval'
                folder.mkdir(parents=True, exist_ok=True)
                (folder / 'eval_1.json').write_text(json.dumps(METRICS))
            return [touching_step(tmp_path)]

        self.fake(monkeypatch, tmp_path, configs, steps)
        monkeypatch.setattr(quickstart, 'BEVFORMER_CONFIGS', configs)
        for family, told in (('bevformer', True), ('bevdepth4d', False)):
            out = tmp_path / family
            assert quickstart.main(['--family', family, '--labels', 'all', '--out-dir', str(out)]) == 0
            assert (quickstart.BEVFORMER_NOTE in (out / 'report.md').read_text()) == told
            assert (quickstart.BEVFORMER_NOTE in capsys.readouterr().out) == told

    def test_the_bevformer_family_has_one_teacher(self, capsys):
        with pytest.raises(SystemExit):
            quickstart.parse_args(['--family', 'bevformer', '--teacher', 'mvp'])
        assert 'LidarFormer' in capsys.readouterr().err

    def test_few_labels_are_for_the_first_family_and_centerpoint(self, capsys):
        assert [quickstart.parse_args(words).labels for words in ([], ['--teacher', 'mvp'])] == ['few', 'all']
        with pytest.raises(SystemExit):
            quickstart.parse_args(['--teacher', 'mvp', '--labels', 'few'])
        assert 'mvp runs with all labels' in capsys.readouterr().err

    def test_each_teacher_has_its_folder(self):
        assert quickstart.parse_args(['--labels', 'all']).out_dir == Path('outputs/quickstart_all_labels')
        assert quickstart.parse_args(['--family', 'bevformer']).out_dir == Path('outputs/quickstart_bevformer')
        assert quickstart.parse_args([]).out_dir == Path('outputs/quickstart')
        assert quickstart.parse_args(['--teacher', 'mvp']).out_dir == Path('outputs/quickstart_mvp')
        assert quickstart.parse_args(['--teacher', 'mvp', '--out-dir', 'x']).out_dir == Path('x')

    def test_failing_step_ends_with_status_one(self, configs, tmp_path, monkeypatch, capsys):
        self.fake(monkeypatch, tmp_path, configs, lambda plan: [touching_step(tmp_path, 'raise SystemExit("broken")')])
        assert quickstart.main(['--labels', 'all', '--out-dir', str(tmp_path / 'out')]) == 1
        assert 'broken' in capsys.readouterr().err

    def test_bad_words(self, capsys):
        for words in (['--seeds', 'a'], ['--jobs', '0']):
            with pytest.raises(SystemExit):
                quickstart.parse_args(words)
        assert quickstart.parse_args(['--seeds', '2,1,2']).seeds == [2, 1]
