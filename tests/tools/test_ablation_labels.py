"""The study of few labels: what each training is told, and what is shared."""

import json
import sys
from pathlib import Path

import pytest
from mmcv import Config

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'tools'))

import ablation  # noqa: E402
from experiments.ablation import studies  # noqa: E402
from experiments.ablation.rows import finished_rows  # noqa: E402
from experiments.ablation.runs import Ablation  # noqa: E402
from experiments.labels import LabelShare  # noqa: E402


class TestLabels:
    """The study of few labels: what each training is told, and what is shared."""

    @pytest.fixture
    def study(self, tmp_path, monkeypatch):
        """The study of seed 3 and the given words, planned with the real configs."""
        monkeypatch.chdir(ROOT)
        words = ['--study', 'unlabelled', '--seeds', '3', '--out-dir', str(tmp_path / 'out')]
        return lambda *more: Ablation(ablation.parse_args([*words, *more]))

    def test_every_config_at_its_percentages(self, study):
        rows = [str(entry) for entry in study().entries]
        all_labels = ['labelled_student', 'labelled_only', 'distillbev_labelled', 'dualdistill_labelled']
        few = [*all_labels, 'depth_on_all', 'pseudo_labels', 'distillbev_unlabelled', 'dualdistill_unlabelled',
               'dualdistill_pseudo_labels']  # fmt: skip
        assert rows == [
            *(f'{name}_10' for name in few), *(f'{name}_20' for name in few), *(f'{name}_100' for name in all_labels),
        ]  # fmt: skip
        names = [name for name, _ in study().runs]
        assert names[:4] == ['labelled_student_10', 'teacher_10', 'labelled_only_10', 'distillbev_labelled_10']
        assert len(names) == len(rows) + 3

    def test_a_teacher_is_trained_where_a_config_needs_one(self, study):
        words = '--labels', '20', '--configs', 'labelled_only', 'depth_on_all'
        assert [name for name, _ in study(*words).runs] == [
            'labelled_student_20',
            'labelled_only_20',
            'depth_on_all_20',
        ]

    def test_all_go_on_from_the_student_with_the_same_labels(self, study):
        runs = study().runs
        for percent in (10, 20):
            start = runs[f'labelled_student_{percent}', 3][0]
            for name in ('labelled_only', 'depth_on_all', 'dualdistill_labelled', 'dualdistill_pseudo_labels'):
                train = runs[f'{name}_{percent}', 3][0]
                assert f'load_from={start.outputs[0]}' in train.command and start in train.after

    def test_teacher_and_students_have_the_same_labels_and_their_own_iterations(self, study):
        runs = study().runs
        alone, mixed = 'data.train.labelled', 'data.train.scenes'
        expected = {
            # 20 of 200 scenes, 60 keyframes: 30 batches of the teacher, 15 of a student, 30 with two labelled each
            'teacher_10': (alone, 0.1, 10, 5, 1500),
            'labelled_student_10': (alone, 0.1, 10, 4, 600),
            'labelled_only_10': (alone, 0.1, 10, 2, 300),
            'dualdistill_unlabelled_10': (mixed, 0.1, 10, 1, 300),
            'pseudo_labels_20': (mixed, 0.2, 5, 1, 300),
            'dualdistill_labelled_20': (alone, 0.2, 5, 2, 300),
            'labelled_only_100': (alone, 1.0, 1, 2, 300),
        }
        for name, (place, share, times, epochs, iterations) in expected.items():
            train, evaluate = runs[name, 3]
            told = [word for word in train.command if word.startswith((f'{place}.', 'runner.'))]
            use = [f'{place}.use=labelled'] if place == alone else []
            assert told == [
                f'{place}.share={share}', f'{place}.seed=3', f'{place}.times={times}', *use,
                f'runner.max_epochs={epochs}',
            ]  # fmt: skip
            batches = 600 * share * times / (4 if place == alone and 'teacher' not in name else 2)
            assert epochs * batches == iterations
            assert train.max_epochs == epochs and train.outputs[0].name == f'epoch_{epochs}.pth'
            assert not [word for word in evaluate.command if 'share=' in word]
        student = runs['dualdistill_unlabelled_10', 3][0]
        assert runs['teacher_10', 3][0] in student.after and runs['teacher_20', 3][0] not in student.after
        assert 'model.teacher.checkpoint=' + str(runs['teacher_10', 3][0].outputs[0]) in student.command

    def test_the_second_family_goes_the_same_way(self, study):
        runs = study('--study', 'unlabelled_bevformer').runs
        start, teacher = runs['bevformer_labelled_student_10', 3][0], runs['teacher_10', 3][0]
        assert 'configs/quickstart/lidarformer_toy.py' in teacher.command
        alone, mixed = 'data.train.labelled', 'data.train.scenes'
        for name, place, epochs, goes_on, taught in (
            # 12 of 120 scenes, 60 keyframes ten times an epoch: 150 batches, 300 with two labelled samples each
            ('teacher', alone, 6, False, False),
            ('bevformer_labelled_student', alone, 4, False, False),
            ('bevformer_labelled_only', alone, 2, True, False),
            ('bevformer_pseudo_labels', mixed, 1, True, True),
            ('bevformer_unlabelled', mixed, 1, True, True),
            ('bevformer_unlabelled_pseudo_labels', mixed, 1, True, True),
        ):
            train = runs[f'{name}_10', 3][0]
            assert {f'{place}.share=0.1', f'{place}.times=10', f'runner.max_epochs={epochs}'} <= set(train.command)
            assert (f'load_from={start.outputs[0]}' in train.command and start in train.after) == goes_on
            assert (teacher in train.after) == taught

    def test_all_labels_of_a_config_that_has_them_are_no_option(self, study):
        train, _ = study('--labels', '100').runs['teacher_100', 3]
        assert not [word for word in train.command if 'labelled' in word or 'max_epochs' in word]

    @pytest.mark.parametrize(
        'words, said',
        [
            (['--labels', '100', '--configs', 'depth_on_all'], 'depth_on_all: none of them is compared with labels of'),
            (['--labels', '100', '--configs', 'configs/unlabelled/aoa_content.py'], 'aoa_content: none of them is'),
            (['--labels', '30', '--configs', 'labelled_only'], 'no whole number of passes through the 180 samples'),
        ],
    )
    def test_what_cannot_be_compared(self, study, words, said):
        with pytest.raises(ValueError, match=said):
            study(*words)

    def test_more_epochs_where_no_repetition_fits_into_the_old_ones(self, monkeypatch):
        monkeypatch.chdir(ROOT)
        cfg = Config.fromfile(studies.UNLABELLED.configs['labelled_only'])
        share = LabelShare(cfg, 40, studies.SYNTHETIC)
        # 240 samples are 60 batches: five passes, which one epoch can hold, two cannot
        assert share.epochs == 1 and 'data.train.labelled.times=5' in share.options(0)

    def test_objects_of_unlabelled_scenes_are_refused(self, monkeypatch):
        monkeypatch.chdir(ROOT)
        cfg = Config.fromfile(next((ROOT / 'configs' / 'centerpoint').glob('*dynamic_cbgs*.py')))
        with pytest.raises(ValueError, match='samples objects from a database of all scenes'):
            LabelShare(cfg, 20, studies.SYNTHETIC)

    def test_rows_hold_the_percentage_and_the_teacher_of_it(self, study):
        planned = study('--labels', '10,20', '--configs', 'labelled_only', 'pseudo_labels')
        for (name, _), steps in planned.runs.items():
            folder = planned.out_dir / f'{name}_seed3'
            (folder / 'eval').mkdir(parents=True)
            (folder / '1.log.json').write_text(json.dumps(dict(mode='train', epoch=1, iter=5, loss=1.0)))
            scores = dict.fromkeys(('mAP', 'NDS', 'mATE', 'mASE', 'mAOE', 'mAVE', 'mAAE'), float(name[-2:]))
            (folder / 'eval' / 'eval_1.json').write_text(json.dumps(scores))
            for step in steps:
                step.write_marker(finished=True, seconds=1.0)
                for path in step.outputs:
                    path.touch()
        rows = finished_rows(planned.plan, planned.entries)
        rows = [row for row in rows if row['config'] != 'labelled_student']
        assert [(row['config'], row['labels'], row['mAP']) for row in rows] == [
            ('labelled_only', 10, 10.0), ('pseudo_labels', 10, 10.0),
            ('labelled_only', 20, 20.0), ('pseudo_labels', 20, 20.0),
        ]  # fmt: skip
        assert [row['teacher'] and row['teacher']['mAP'] for row in rows] == [None, 10.0, None, 20.0]
