"""LidarFormer through the tools: check, train, test."""

import json

import pytest
import torch
from helpers.nuscenes_batch import load_tables, write_infos
from helpers.tools import load_tool
from helpers.toy_models import toy_lidarformer_cfg

from mmdet3d_plugin.audit.config_check import check_config

RANGE = (-19.2, -19.2, -5.0, 19.2, 19.2, 3.0)
CONFIG = """
_base_ = ['{repo}/configs/quickstart/centerpoint_toy.py']
model = dict(_delete_=True, **{model})
data = dict(samples_per_gpu=2, workers_per_gpu=0)
runner = dict(max_epochs=1)
log_config = dict(interval=1)
lr_config = dict(_delete_=True, policy='fixed')
momentum_config = None
"""


@pytest.fixture
def config(tmp_path, repo_root):
    """Config file of a toy LidarFormer on the quickstart's pipelines."""
    path = tmp_path / 'lidarformer.py'
    path.write_text(CONFIG.format(repo=repo_root, model=toy_lidarformer_cfg(range=RANGE)))
    return path


def test_a_lidarformer_trains_and_is_tested(config, tiny_nuscenes, tmp_path, train_tool):
    nusc = load_tables(tiny_nuscenes)
    nusc.scene = nusc.scene[:1]
    infos = write_infos(nusc, tmp_path, 'base')
    options = {
        f'data.{split}.{key}': str(value)
        for split in ('train', 'val', 'test')
        for key, value in (('data_root', tiny_nuscenes), ('ann_file', infos))
    }
    words = ['--cfg-options', *(f'{key}={value}' for key, value in options.items())]
    table, notes = check_config(str(config), options)
    assert 'LidarFormer' in table and '16@24x24' in table, (table, notes)
    log = train_tool(config, '--work-dir', tmp_path / 'run', '--no-validate', *words)
    assert {'task0.loss_heatmap', 'task5.loss_bbox'} <= set(log[1, 1]) and len(log) == 2
    checkpoint = tmp_path / 'run' / 'epoch_1.pth'
    saved = torch.load(checkpoint, weights_only=True)
    assert 'pts_middle_encoder.conv_out.0.weight' in saved['state_dict']
    out = tmp_path / 'out'
    load_tool('test.py').main([str(word) for word in (
        config, checkpoint, '--eval', 'bbox', '--work-dir', out, '--eval-options', f'jsonfile_prefix={out}', *words
    )])  # fmt: skip
    (metrics,) = (json.loads(path.read_text())['metric'] for path in out.glob('eval_*.json'))
    assert 0 <= metrics['mAP'] <= 1 and 0 <= metrics['NDS'] <= 1
