"""The examples of docs/architecture.md run as printed."""

import re
import sys

import pytest
import torch
from helpers.bev import level
from mmcv import Config

from mmdet3d_plugin.distill.aligners import ALIGNERS, build_aligner


@pytest.fixture
def examples(repo_root):
    """The Python blocks of the document."""
    return re.findall(r'```python\n(.*?)```', (repo_root / 'docs' / 'architecture.md').read_text(), flags=re.DOTALL)


def test_aligner_and_config_examples(examples, repo_root, tmp_path, monkeypatch):
    aligner_code, config_code = examples
    (tmp_path / 'my_aligners.py').write_text(aligner_code)
    config_file = tmp_path / 'config.py'
    config_file.write_text(config_code.replace("'configs/", f"'{repo_root}/configs/"))
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        cfg = Config.fromfile(str(config_file)).model.levels['backbone1'].aligner
        assert cfg == dict(type='BottleneckAligner', width=96)
        aligner = build_aligner(cfg, student=level(8, 4, 4), teacher=level(6, 16, 16))
        assert aligner(torch.zeros(2, 8, 4, 4)).shape == (2, 6, 16, 16)
        assert aligner.layers[0].out_channels == 96
        with pytest.raises(TypeError, match='depth'):
            build_aligner(dict(cfg, depth=3), student=level(8, 4, 4), teacher=level(6, 16, 16))
    finally:
        ALIGNERS.module_dict.pop('BottleneckAligner', None)
        sys.modules.pop('my_aligners', None)


def test_rooms_exist(repo_root):
    text = (repo_root / 'docs' / 'architecture.md').read_text()
    package = repo_root / 'mmdet3d_plugin'
    for name in re.findall(r'^  (\w+/|\w+\.py) ', text, flags=re.MULTILINE):
        assert (package / name).exists(), name
    for name in re.findall(r'`((?:tools|distill|engine|models|datasets|configs)/[\w/]+\.\w+)`', text):
        assert (repo_root / name).exists() or (package / name).exists(), name
