"""From a checkpoint to a submission file without torch: the boxes that testing gives, a scene's memory included."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.deploy import CLASSES, lively
from helpers.nuscenes_batch import load_tables, write_infos
from helpers.tools import load_tool
from mmdet3d.datasets import build_dataset

import mmdet3d_plugin
from mmdet3d_plugin.deploy import verify
from mmdet3d_plugin.deploy.export import export_student
from mmdet3d_plugin.engine import api, load_config

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')

STUDENTS = {'configs/quickstart/bevdepth4d_toy.py': '4d', 'configs/quickstart/bevformer_toy.py': 'base'}
WORDS = ('torch', 'mmcv', 'mmdet', 'mmdet3d', 'mmdet3d_plugin')


@pytest.fixture(params=STUDENTS, ids=['bevdepth', 'bevformer'])
def student(request, repo_root, tiny_nuscenes, tmp_path, monkeypatch):
    """(config file, options, checkpoint, detector, data set) of a toy student on a generated set."""
    monkeypatch.chdir(repo_root)
    infos = write_infos(load_tables(tiny_nuscenes), tmp_path, STUDENTS[request.param])
    options = {'data.test.ann_file': infos, 'data.test.data_root': f'{tiny_nuscenes}/'}
    cfg = load_config(request.param, options)
    torch.manual_seed(0)
    detector = lively(mmdet3d_plugin.build_model(cfg))
    save(detector, tmp_path / 'plain.pth')
    for name, tensor in detector.state_dict().items():
        if 'heatmap' in name and name.endswith('weight'):
            tensor.mul_(20)  # scores far enough apart that rounding does not change their order
    return cfg, options, detector, build_dataset(cfg.data.test, dict(test_mode=True))


def save(detector, path):
    torch.save(dict(state_dict=detector.state_dict(), meta=dict(CLASSES=detector.head.classes)), path)


def call(repo_root, tool, *words):
    done = subprocess.run(
        [sys.executable, f'tools/deploy/{tool}', *map(str, words)], cwd=repo_root, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def numbers(box):
    label = CLASSES.index(box['detection_name'])
    return [*box['translation'], *box['size'], *box['rotation'], *box['velocity'], box['detection_score'], label]


def test_the_tool_compares_what_it_wrote_with_torch(student, repo_root, tmp_path):
    cfg, options, *_ = student
    words = ['--cfg-options', *(f'{key}={value}' for key, value in options.items())]
    out = tmp_path / 'plain.onnx'
    printed = call(repo_root, 'export_onnx.py', cfg.filename, tmp_path / 'plain.pth', '--out', out, *words)
    assert 'largest difference of torch and onnxruntime' in printed and out.is_file()


def test_an_export_that_differs_from_torch_is_not_written(student, tmp_path, monkeypatch):
    cfg, options, *_ = student
    out = tmp_path / 'plain.onnx'
    out.write_text('of an earlier export')
    monkeypatch.setattr(verify, 'compare', lambda *_: verify.Agreement(0.5, 0.5, 0.25))
    words = [cfg.filename, str(tmp_path / 'plain.pth'), '--out', str(out), '--cfg-options']
    with pytest.raises(ValueError, match=r'plain.onnx: not written.* 5.0e-01 with the same inputs, .* 2.5e-01 in'):
        load_tool('deploy/export_onnx.py').main([*words, *(f'{key}={value}' for key, value in options.items())])
    assert out.read_text() == 'of an earlier export'
    assert not list(tmp_path.glob('.*'))


def test_the_submission_is_that_of_testing(student, repo_root, tiny_nuscenes, tmp_path):
    cfg, options, detector, dataset = student
    export_student(cfg, detector, tmp_path / 'student.onnx')
    common = ['--data-root', tiny_nuscenes, '--ann-file', options['data.test.ann_file'], '--out', tmp_path / 'onnx']
    call(repo_root, 'run_onnx.py', tmp_path / 'student.onnx', *common)
    with torch.no_grad():
        batches = (api.collate_sample(dataset[index]) for index in range(len(dataset)))
        results = [detector(return_loss=False, **batch)[0] for batch in batches]
    wanted, _ = dataset.format_results(results, str(tmp_path / 'torch'))
    files = (Path(wanted), tmp_path / 'onnx' / 'results_nusc.json')
    wanted, found = (json.loads(path.read_text()) for path in files)
    assert found['meta'] == wanted['meta'] and list(found['results']) == list(wanted['results'])
    for token, boxes in wanted['results'].items():
        assert len(boxes) > 5 and abs(len(found['results'][token]) - len(boxes)) <= 0.02 * len(boxes)
        mine, others = (np.array([numbers(one) for one in list_]) for list_ in (boxes, found['results'][token]))
        near = np.abs(mine[:, None] - others).max(axis=-1).min(axis=1) < 1e-3
        assert near.mean() > 0.98  # where two overlapping boxes score alike, rounding decides which one stays


def test_run_onnx_knows_none_of_the_heavy_libraries(repo_root):
    program = (
        "import runpy, sys; sys.argv = ['run_onnx.py', 'nothing.onnx', '--data-root', 'nowhere']\n"
        "try: runpy.run_path('tools/deploy/run_onnx.py', run_name='__main__')\n"
        'except SystemExit as end: print(end)\n'
        'print(*{name.split(".")[0] for name in sys.modules})'
    )
    done = subprocess.run([sys.executable, '-c', program], cwd=repo_root, capture_output=True, text=True)
    error, modules = done.stdout.splitlines()
    assert error.startswith('error: no file nothing.onnx') and not set(WORDS) & set(modules.split())


def test_static_quantisation_wants_images(repo_root):
    done = subprocess.run(
        [sys.executable, 'tools/deploy/quantize_onnx.py', 'student.onnx', '--out', 'small.onnx'],
        cwd=repo_root, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2 and '--mode static looks at training images: give --data-root' in done.stderr
