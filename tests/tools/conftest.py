"""The command-line tools of tools/analysis_tools, imported as they are when they run, and a config for them."""

import importlib

import pytest
from helpers.golden import tiny_config

DISTILL = 'configs/lidar2camera_bev_distillation/teacher_to_bevdepth4d/centerpoint_to_bevdepth4d_r50_256x704.py'


@pytest.fixture
def analysis_tools(repo_root, monkeypatch):
    """Make the modules beside the tools importable."""
    monkeypatch.syspath_prepend(str(repo_root / 'tools' / 'analysis_tools'))


@pytest.fixture
def tool(analysis_tools):
    """Function: name -> module of a tool."""
    return importlib.import_module


@pytest.fixture(scope='session')
def shrunk_config(tmp_path_factory, repo_root):
    """Config file of the distilled R50, its networks shrunk, its teacher random."""
    folder = tmp_path_factory.mktemp('config')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(repo_root)
        cfg = tiny_config(DISTILL, folder)
        image_size = cfg.model.student.img_view_transformer.image_size
        for step in cfg.data.train.dataset.pipeline:
            step.update(dict(final_dim=image_size) if 'final_dim' in step else {})
        cfg.dump(str(folder / 'distill.py'))
    return folder / 'distill.py'
