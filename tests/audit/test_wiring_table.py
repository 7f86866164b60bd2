"""The wiring table of a built detector: shapes, terms, weights and parameter counts."""

import re

from helpers.distill_fakes import build, distiller_cfg, level_cfgs, write_teacher
from mmcv import Config

from mmdet3d_plugin.audit.config_check import check_config
from mmdet3d_plugin.audit.wiring_table import columns, wiring_table


def table_of(cfg):
    return wiring_table(build(cfg), Config(dict(model=cfg)).model)


def test_levels_terms_and_counts(tmp_path):
    levels = level_cfgs()
    levels[0]['aligner'] = dict(type='AOAAligner', orthogonal=False)
    levels[1] = dict(
        name='backbone2', aligner=dict(type='UpsampleConvAligner'), loss=dict(levels[1]['loss'], scale=False)
    )
    cfg = distiller_cfg(write_teacher(tmp_path), levels=levels, response=dict(type='CrossHeadBoxLoss', loss_weight=0.5))
    model, lines = build(cfg), table_of(cfg).splitlines()
    rows = {re.split(r'  +', line)[0]: re.split(r'  +', line)[1:] for line in lines[:6]}
    assert rows['backbone0'] == ['8@16x16', '-', '8@32x32', '-']
    inner = 'fg 0.006, bg 0.04, spatial 0.0025'
    assert rows['backbone1'] == ['16@8x8', 'AOAAligner(orthogonal=False)', '16@16x16', inner]
    assert rows['backbone2'] == ['24@4x4', 'UpsampleConvAligner', '32@8x8', inner]
    assert rows['head'] == ['12@16x16', 'Conv1x1Aligner', '48@16x16', 'fg 0.006, bg 0.04, fp 0.06, spatial 0.0025']
    assert lines[5].endswith("teacher's head  CrossHeadBoxLoss 0.5")
    assert 'backbone2     RegionWeightedFeatureLoss(scale=False)' in lines
    counts = {line.rsplit(None, 2)[0]: line.split()[-2:] for line in lines if line.startswith(('student', 'teacher '))}
    trained = sum(parameter.numel() for parameter in model.student.parameters())
    frozen = sum(parameter.numel() for parameter in model.teacher.module.parameters())
    assert counts == {'student': [f'{trained:,}', '0'], 'teacher': ['0', f'{frozen:,}']}
    assert 'aligner head' in lines[-5] and lines[-5].split()[-2:] == ['624', '0']  # 12 x 48 + 48


def test_without_response_or_loss(tmp_path):
    levels = [dict(name='head', aligner=dict(type='Conv1x1Aligner'))]
    text = table_of(distiller_cfg(write_teacher(tmp_path), levels=levels))
    assert re.search(r'head +12@16x16 +Conv1x1Aligner +48@16x16 +-', text)
    levels[0]['loss'] = dict(type='RegionWeightedFeatureLoss')
    text = table_of(distiller_cfg(write_teacher(tmp_path), levels=levels, response=None))
    assert re.search(r"response +teacher's head +-$", text, flags=re.M)


def rows_of(path):
    """Rows about samples without labels of a config's table: what is trained -> by what on the two kinds of samples."""
    (part,) = [part for part in check_config(path)[0].split('\n\n') if part.startswith('trained on')]
    return {cells[0]: tuple(cells[1:]) for cells in (re.split(r'  +', line) for line in part.splitlines())}


def test_what_is_trained_on_samples_without_labels(repo_root, monkeypatch):
    monkeypatch.chdir(repo_root)
    found = "teacher's boxes above a score of 0.3"
    whole = rows_of('configs/unlabelled/dualdistill_unlabelled.py')
    assert whole == {
        'trained on': ('labelled samples', 'unlabelled samples'),
        'detection': ('boxes', '-'),
        'depth': ('LiDAR', 'LiDAR'),
        'levels': ("teacher's maps; regions: boxes", f"teacher's maps; regions: {found}, scale times score, no fp"),
        'response': ("teacher's head", "teacher's head"),
    }
    pseudo = rows_of('configs/unlabelled/bevformer_pseudo_labels.py')
    assert pseudo == {'trained on': ('labelled samples', 'unlabelled samples'), 'detection': ('boxes', found)}
    assert rows_of('configs/unlabelled/depth_on_all.py') == {
        'trained on': ('labelled samples', 'unlabelled samples'),
        'detection': ('boxes', '-'),
        'depth': ('LiDAR', 'LiDAR'),
    }
    assert 'unlabelled' not in check_config('configs/unlabelled/labelled_only.py')[0]


def test_columns_are_aligned():
    assert columns([('a', 'bb', 'c'), ('aaa', 'b', '')]) == ['a    bb  c', 'aaa  b']


def test_the_documented_table_is_the_real_one(repo_root, monkeypatch):
    monkeypatch.chdir(repo_root)
    block = re.search(
        r'```\n\$ python tools/analysis_tools/check_config.py (\S+)\n(.*?)\n```',
        (repo_root / 'docs' / 'method.md').read_text(),
        flags=re.S,
    )
    assert check_config(block[1])[0] == block[2]
