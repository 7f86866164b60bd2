"""Losses of every distillation config on a fixed batch stay what they were.

``pytest tests/test_golden_losses.py --update-golden`` writes the files anew, after a change that is meant to change
them. A config without a file, or a term that is new or gone, fails.
"""

import json
from pathlib import Path

import pytest
from helpers.golden import TOLERANCE, differences, losses_of, write_golden
from mmcv import Config

REPO = Path(__file__).resolve().parents[1]
GOLDEN = REPO / 'tests' / 'golden'
CONFIGS = sorted(
    path.relative_to(REPO).as_posix()
    for path in (REPO / 'configs').rglob('*.py')
    if '_base_' not in path.parts and 'teacher' in Config.fromfile(str(path)).model
)


def golden_file(config):
    """configs/a/b.py -> tests/golden/a__b.json."""
    return GOLDEN / (config[len('configs/') : -len('.py')].replace('/', '__') + '.json')


@pytest.mark.parametrize('config', CONFIGS)
def test_losses_are_the_golden_ones(config, tmp_path, monkeypatch, request):
    monkeypatch.chdir(REPO)  # a teacher's config is named relative to it
    losses = losses_of(config, tmp_path)
    path = golden_file(config)
    if request.config.getoption('--update-golden'):
        write_golden(path, config, losses)
    assert path.is_file(), f'{path} is missing: run pytest {__file__} --update-golden and look at what it wrote'
    assert differences(json.loads(path.read_text())['losses'], losses) == []


def test_no_golden_file_is_left_over():
    assert {path.name for path in GOLDEN.glob('*.json')} == {golden_file(config).name for config in CONFIGS}


@pytest.mark.parametrize('config', CONFIGS)
def test_golden_terms_are_there_and_not_trivial(config):
    losses = json.loads(golden_file(config).read_text())['losses']
    assert all(value == value and abs(value) < float('inf') for value in losses.values())
    zero = {name for name, value in losses.items() if value == 0}
    assert not {name for name in zero if name.startswith('distill.') or name.startswith('loss_depth')}
    if any(name.startswith('crd.') for name in losses):
        assert losses['crd.num_boxes'] > 1 and losses['crd.raw_bbox'] > 0
        assert losses.get('crd.raw_heatmap', 0) > 0 or losses.get('crd.raw_cls', 0) > 0


def test_differences_are_found():
    golden = dict(a=2.0, b=0.0)
    assert differences(golden, dict(a=2.0 * (1 + 0.9 * TOLERANCE), b=0.0)) == []
    assert differences(golden, dict(a=2.0 * (1 + 1.1 * TOLERANCE), b=0.0)) == ['a: 2.00022, golden 2.0']
    assert differences(golden, dict(a=2.0)) == ['b: in the golden file only']
    assert differences(golden, dict(golden, c=1.0)) == ['c: not in the golden file']
    assert differences(golden, dict(a=2.0, b=float('nan'))) == ['b: nan, golden 0.0']
