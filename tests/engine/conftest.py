"""A whole config for the toy detector, and the command-line tools as functions."""

import json
from pathlib import Path

import pytest
from helpers import toy_engine  # noqa: F401  (registers the toy data set and detector)
from helpers.tools import load_tool

REPO = Path(__file__).resolve().parents[2]

CONFIG = """
_base_ = ['{repo}/configs/_base_/schedules/adamw_24e.py', '{repo}/configs/_base_/runtime/default_runtime.py']
custom_imports = dict(imports=['mmdet3d_plugin', 'helpers.toy_engine'], allow_failed_imports=False)
model = dict(type='ToyEngineDetector')
data = dict(
    samples_per_gpu=2,
    workers_per_gpu=0,
    train=dict(type='ToyEngineDataset', length=6),
    val=dict(type='ToyEngineDataset', length=3),
    test=dict(type='ToyEngineDataset', length=3),
)
lr_config = dict(_delete_=True, policy='step', warmup='linear', warmup_iters=4, warmup_ratio=0.1, step=[2])
runner = dict(max_epochs=3)
log_config = dict(interval=1)
opencv_num_threads = 1
"""


@pytest.fixture
def toy_config(tmp_path):
    """Path of the toy config file."""
    path = tmp_path / 'toy.py'
    path.write_text(CONFIG.format(repo=REPO))
    return path


@pytest.fixture
def train(monkeypatch):
    """``tools/train.py`` as a function of its command-line words; returns the loss of each logged iteration."""
    monkeypatch.setattr('time.sleep', lambda seconds: None)  # mmcv waits 2 s at each epoch's start

    def run(*words):
        load_tool('train.py').main([str(word) for word in words])
        work_dir = Path(str(words[words.index('--work-dir') + 1]))
        newest = max(work_dir.glob('*.log.json'), key=lambda path: path.stat().st_mtime_ns)
        log = {}
        for line in map(json.loads, newest.read_text().splitlines()):
            if 'mode' not in line:  # the first line of a run; two runs within one second share a file
                log = {}
            elif line['mode'] == 'train':
                log[line['epoch'], line['iter']] = line
        return log

    return run


@pytest.fixture
def run_test_tool():
    """``tools/test.py`` as a function of its command-line words."""
    return lambda *words: load_tool('test.py').main([str(word) for word in words])
