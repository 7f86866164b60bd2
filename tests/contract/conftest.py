"""The command-line tools as functions."""

import json
from pathlib import Path

import pytest
from helpers.tools import load_tool


@pytest.fixture
def train_tool(monkeypatch):
    """``tools/train.py`` as a function of its command-line words; returns the log line of each (epoch, iteration)."""
    monkeypatch.setattr('time.sleep', lambda seconds: None)  # mmcv waits 2 s at each epoch's start

    def run(*words):
        load_tool('train.py').main([str(word) for word in words])
        work_dir = Path(str(words[words.index('--work-dir') + 1]))
        newest = max(work_dir.glob('*.log.json'), key=lambda path: path.stat().st_mtime_ns)
        lines = [json.loads(line) for line in newest.read_text().splitlines()]
        return {(line['epoch'], line['iter']): line for line in lines if line.get('mode') == 'train'}

    return run
