"""Means, errors and paired gains of an ablation, and the tables about them."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'tools'))

from experiments.ablation.report import build_report, gain_table, runs_table, score_table, tables_of  # noqa: E402
from experiments.ablation.summary import sign, smallest_effect, spread, summarise  # noqa: E402

DATA = {'data_root': 'data/x', 'settings': {'scenes': 8, 'val_scenes': 2, 'keyframes': 3}}
SETTING = {
    'machine': 'a machine',
    'baseline': 'baseline',
    'training': DATA,
    'evaluation': {**DATA, 'data_root': 'data/y'},
}


def row(config, seed, mAP, NDS, **kwargs):
    common = {'config_file': f'{config}.py', 'labels': None, 'loss_terms': {}, 'seconds': 60.0, 'teacher': None}
    return {**common, 'config': config, 'seed': seed, 'mAP': mAP, 'NDS': NDS, 'mAOE': 0.5, 'mAVE': 1 - mAP, **kwargs}


def of_all(rows):
    """Statistics of rows that share their percentage of labels."""
    (group,) = summarise(rows, 'baseline')
    return group['configs']


class TestSummary:
    ROWS = [
        row('baseline', 0, 0.1, 0.2), row('baseline', 1, 0.3, 0.4), row('baseline', 2, 0.2, 0.3),
        row('x', 0, 0.2, 0.2), row('x', 1, 0.5, 0.3), row('x', 2, 0.5, 0.4),
    ]  # fmt: skip

    def test_means_and_their_errors(self):
        summary = of_all(self.ROWS)
        assert list(summary) == ['baseline', 'x'] and summary['x']['seeds'] == [0, 1, 2]
        # 0.1, 0.3, 0.2: mean 0.2, squares of the differences 0.01 + 0.01 + 0, over n - 1 = 2
        expected = {'mean': 0.2, 'std': 0.1, 'standard_error': 0.1 / 3**0.5}
        assert summary['baseline']['mAP'] == pytest.approx(expected)
        # 0.2, 0.5, 0.5: mean 0.4, squares 0.04 + 0.01 + 0.01 = 0.06, over 2
        expected = {'mean': 0.4, 'std': 0.03**0.5, 'standard_error': 0.1}
        assert summary['x']['mAP'] == pytest.approx(expected)

    def test_gains_are_those_of_the_same_seed(self):
        summary = of_all(self.ROWS)
        assert 'gain' not in summary['baseline']
        gain = summary['x']['gain']
        assert gain['mAP']['per_seed'] == pytest.approx({'0': 0.1, '1': 0.2, '2': 0.3})
        assert gain['mAP']['mean'] == pytest.approx(0.2) and gain['mAP']['standard_error'] == pytest.approx(
            0.1 / 3**0.5
        )
        assert gain['mAP']['sign'] == '+'
        # the table of Student's t has 4.303 for two degrees of freedom and 2.5 % above
        assert gain['mAP']['smallest_effect'] == pytest.approx(4.303 * 0.1 / 3**0.5, rel=1e-3)
        assert gain['NDS']['per_seed'] == pytest.approx({'0': 0.0, '1': -0.1, '2': 0.1})
        assert gain['NDS']['mean'] == pytest.approx(0.0) and gain['NDS']['sign'] == 'mixed'

    def test_only_common_seeds_are_compared(self):
        summary = of_all([row('x', 1, 0.5, 0.5), row('baseline', 0, 0.1, 0.1), row('x', 0, 0.2, 0.0)])
        gain = summary['x']['gain']
        assert gain['mAP']['per_seed'] == pytest.approx({'0': 0.1})
        assert gain['mAP']['std'] is None and gain['mAP']['smallest_effect'] is None and gain['NDS']['sign'] == '-'
        assert 'gain' not in of_all([row('x', 1, 0.5, 0.5), row('baseline', 0, 0.1, 0.1)])['x']
        assert 'gain' not in of_all([row('x', 0, 0.5, 0.5)])['x']

    def test_percentages_of_labels_are_apart(self):
        rows = [row('baseline', 0, 0.1, 0.1, labels=10), row('x', 0, 0.3, 0.1, labels=10),
                row('baseline', 0, 0.6, 0.1, labels=20), row('x', 0, 0.5, 0.1, labels=20)]  # fmt: skip
        groups = summarise(rows, 'baseline')
        assert [group['labels'] for group in groups] == [10, 20]
        gains = [group['configs']['x']['gain']['mAP']['mean'] for group in groups]
        assert gains == pytest.approx([0.2, -0.1])

    def test_sign_spread_and_smallest_effect(self):
        assert [sign(values) for values in ([0.1, 0.2], [-0.1], [0.0], [0.1, 0.0])] == ['+', '-', 'mixed', 'mixed']
        assert spread([0.5]) == {'mean': 0.5, 'std': None, 'standard_error': None}
        # five seeds: 2.776 standard errors; differences 1, 2, 3, 4, 5 have a variance of 2.5
        assert smallest_effect([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(2.776 * 0.5**0.5, rel=1e-3)


class TestTables:
    def test_of_one_run(self):
        rows = [row('dualdistill', 4, 0.25, 0.5)]
        ((title, tables),) = tables_of(summarise(rows, 'baseline'))
        assert title == 'Over the seeds' and tables == [
            [
                ['config', 'seeds', 'mAP', 'NDS', 'mAOE', 'mAVE'],
                ['dualdistill', '1', '0.250', '0.500', '0.500', '0.750'],
            ]
        ]
        report = build_report({'runs': rows, 'summary': summarise(rows, 'baseline'), 'setting': SETTING})
        assert '| dualdistill | 4 | 0.250 | 0.500 | 0.500 | 0.750 |  |  |  |  | 1:00 |' in report
        assert 'trained on 6 scenes of 3 keyframes, `data/x`' in report and 'gain' not in report
        assert 'evaluated on 2 scenes of 3 keyframes, `data/y`' in report and 'labels' not in report

    def test_of_several(self):
        configs = of_all(TestSummary.ROWS)
        assert score_table(configs)[1][:4] == ['baseline', '3', '0.200 ± 0.058', '0.300 ± 0.058']
        table = gain_table(configs)
        assert table[0][:4] == ['config', 'mAP gain', 'every seed', 'shows from'] and len(table) == 2
        assert table[1][:7] == ['x', '+0.200 ± 0.058', '+', '0.248', '+0.000 ± 0.058', 'mixed', '0.248']
        assert table[1][-3:] == ['-0.200 ± 0.058', '-', '0.248']

    def test_every_run_with_its_teacher(self):
        teacher = {'mAP': 0.5, 'NDS': 0.4, 'mAOE': 0.2, 'mAVE': 0.5, 'seconds': 30.0}
        rows = [row('x', 0, 0.1, 0.2, teacher=teacher), row('y', 0, 0.1, 0.2, teacher=teacher), row('x', 1, 0.3, 0.4)]
        assert [cells[1] for cells in runs_table(rows)] == ['seed', '0', '0', '1']
        assert runs_table(rows)[1][6:] == ['0.500', '0.400', '0.200', '0.500', '1:00']
        # three runs of a minute and the one teacher of half a minute, counted once
        report = build_report({'runs': rows, 'summary': summarise(rows, 'baseline'), 'setting': SETTING})
        assert '3 run(s), 3:30 of training and evaluation' in report

    def test_of_percentages(self):
        teacher = {'mAP': 0.5, 'NDS': 0.4, 'mAOE': 0.2, 'mAVE': 0.5, 'seconds': 30.0}
        rows = [row('x', 0, 0.1, 0.2, labels=labels, teacher=teacher) for labels in (10, 100)]
        assert [cells[:3] for cells in runs_table(rows)] == [
            ['labels', 'config', 'seed'], ['10 %', 'x', '0'], ['100 %', 'x', '0'],
        ]  # fmt: skip
        report = build_report({'runs': rows, 'summary': summarise(rows, 'baseline'), 'setting': SETTING})
        assert report.index('## Labels of 10 %') < report.index('## Labels of 100 %') < report.index('## Every run')
        assert '2 run(s), 3:00 of training' in report and 'each seed draws scenes of its own' in report
