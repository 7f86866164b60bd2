"""Every tool that takes --cfg-options refuses those that nothing reads."""

import importlib.util
import sys

import pytest

from mmdet3d_plugin.audit.config_problem import ConfigProblem

TOY = 'configs/quickstart/dualdistill_toy.py'
# tool -> the words it needs beside
TOOLS = {
    'misc/print_config': [TOY],
    'analysis_tools/check_config': [TOY],
    'analysis_tools/get_flops': [TOY],
    'analysis_tools/benchmark': ['inference', TOY],
    'analysis_tools/verify_teacher': [TOY],
    'visualization/draw_predictions': [TOY, '--pred', 'a=none.json', '--out-dir', 'none'],
    'visualization/draw_distill': [TOY, 'none.pth', '--out', 'none.png'],
    'model_converters/convert_legacy': [TOY, 'none.pth', '--dry-run'],
}


@pytest.mark.parametrize('name', TOOLS)
def test_overrides_that_nothing_reads_are_refused(name, repo_root, monkeypatch):
    monkeypatch.chdir(repo_root)
    path = repo_root / 'tools' / f'{name}.py'
    monkeypatch.syspath_prepend(str(path.parent))
    spec = importlib.util.spec_from_file_location(f'tool_{path.stem}', path)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    for option, meant in (('optimzer.lr=1', 'did you mean optimizer.lr?'), ('data_root=x/', 'move_data_root.py')):
        words = [*TOOLS[name], '--cfg-options', option]
        monkeypatch.setattr(sys, 'argv', [path.name, *words])
        with pytest.raises(ConfigProblem, match=meant) as error:
            tool.main(words)
        assert f'--cfg-options {option.split("=")[0]}' in str(error.value)
