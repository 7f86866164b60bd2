"""Runs of an ablation that start from the weights of another run of the same seed."""

import sys
from pathlib import Path

import pytest
from mmcv import Config

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'tools'))

from experiments.ablation import studies  # noqa: E402
from experiments.ablation.configs import with_starts, with_teacher  # noqa: E402
from experiments.plan import Plan  # noqa: E402


@pytest.fixture
def configs(tmp_path):
    """A model that starts by itself and one that starts from it."""
    files = {}
    for name, start in (('first', ''), ('second', "load_from = 'outputs/anywhere/first/epoch_2.pth'\n")):
        files[name] = str(tmp_path / f'{name}.py')
        Path(files[name]).write_text(
            f"{start}data = dict(val=dict(data_root='data/toy/', ann_file='data/toy/val.pkl'))\n"
            'runner = dict(max_epochs=2)\nmodel = dict()\n'
        )
    return files


def plan_of(configs, tmp_path):
    return Plan(configs, studies.HISTORY.synthetic, tmp_path / 'out', tmp_path / 'data', [0, 1])


def test_a_run_starts_from_that_of_its_own_seed_and_after_it(configs, tmp_path):
    plan = plan_of(configs, tmp_path)
    assert plan.start_of('first') is None and plan.needed_by('second') == ['first']
    train, evaluate = plan.runs[1]['second']
    assert f'load_from={tmp_path}/out/first_seed1/epoch_2.pth' in train.command
    assert plan.runs[1]['first'][0] in train.after and plan.runs[0]['first'][0] not in train.after
    assert not any('load_from' in word for step in (evaluate, *plan.runs[1]['first']) for word in step.command)


def test_without_the_other_run_it_starts_as_its_config_says(configs, tmp_path):
    plan = plan_of({'second': configs['second']}, tmp_path)
    assert plan.needed_by('second') == []
    assert not any('load_from' in word for word in plan.runs[0]['second'][0].command)


def test_the_start_is_trained_even_where_nobody_asked_for_it(configs):
    assert list(with_starts({'second': configs['second']}, configs)) == ['first', 'second']
    assert list(with_starts(configs, configs)) == ['first', 'second']
    assert with_starts({'first': configs['first']}, configs) == {'first': configs['first']}


def test_a_start_may_have_a_start_itself(configs, tmp_path):
    third = str(tmp_path / 'third.py')
    Path(third).write_text(Path(configs['second']).read_text().replace('anywhere/first', 'anywhere/second'))
    assert list(with_starts({'third': third}, configs)) == ['first', 'second', 'third']
    itself = str(tmp_path / 'itself.py')
    Path(itself).write_text(Path(configs['second']).read_text().replace('anywhere/first', 'anywhere/itself'))
    assert list(with_starts({'itself': itself}, {'itself': itself})) == ['itself']


def test_labels_that_a_study_holds_back_do_not_come_in_by_weights(configs, tmp_path):
    data = "data = dict(train=dict(type='A'), samples_per_gpu=4, val=dict(data_root='d/', ann_file='d/val.pkl'))\n"
    Path(configs['second']).write_text(Path(configs['second']).read_text() + data)
    with pytest.raises(ValueError, match='second.py starts from outputs/anywhere/first/epoch_2.pth, and nobody knows'):
        Plan(
            {'second': configs['second']}, {**studies.SYNTHETIC}, tmp_path / 'out', tmp_path / 'data', [0],
            labels={'second': 20},
        )  # fmt: skip


def test_the_study_of_history_changes_the_history_alone(monkeypatch):
    monkeypatch.chdir(ROOT)
    files = studies.HISTORY.configs
    assert list(with_starts({'with_history': files['with_history']}, files)) == ['detector', 'with_history']
    assert with_teacher(files) == files
    alone, remembering = (Config.fromfile(files[name]) for name in ('baseline', 'with_history'))
    assert alone.model.pop('history') is False and 'history' not in remembering.model
    queues = [cfg.data.train.pipeline[0].pop('queue_length') for cfg in (alone, remembering)]
    assert queues == [1, 2] == [alone.pop('queue_length'), remembering.pop('queue_length')]
    alone.train_pipeline = remembering.train_pipeline  # the variable; data.train holds what is read
    assert alone._cfg_dict == remembering._cfg_dict
