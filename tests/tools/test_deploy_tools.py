"""From a checkpoint to a submission file without torch: the same boxes that testing gives, a scene's memory included."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers.deploy import lively
from helpers.nuscenes_batch import load_tables, write_infos
from mmdet3d.datasets import build_dataset

import mmdet3d_plugin
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
    detector = lively(mmdet3d_plugin.build_model(cfg))
    path = str(tmp_path / 'student.pth')
    torch.save(dict(state_dict=detector.state_dict(), meta=dict(CLASSES=detector.head.classes)), path)
    return request.param, options, path, detector, build_dataset(cfg.data.test, dict(test_mode=True))


def call(repo_root, tool, *words):
    done = subprocess.run(
        [sys.executable, f'tools/deploy/{tool}', *map(str, words)], cwd=repo_root, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def numbers(box):
    return [*box['translation'], *box['size'], *box['rotation'], *box['velocity'], box['detection_score']]


def test_the_submission_is_that_of_testing(student, repo_root, tiny_nuscenes, tmp_path):
    config, options, checkpoint, detector, dataset = student
    words = ['--cfg-options', *(f'{key}={value}' for key, value in options.items())]
    printed = call(repo_root, 'export_onnx.py', config, checkpoint, '--out', tmp_path / 'student.onnx', *words)
    assert 'largest difference of torch and onnxruntime' in printed
    common = ['--data-root', tiny_nuscenes, '--ann-file', options['data.test.ann_file'], '--out', tmp_path / 'onnx']
    call(repo_root, 'run_onnx.py', tmp_path / 'student.onnx', *common)
    with torch.no_grad():
        batches = (api.collate_sample(dataset[index]) for index in range(len(dataset)))
        results = [detector(return_loss=False, **batch)[0] for batch in batches]
    wanted, _ = dataset.format_results(results, str(tmp_path / 'torch'))
    wanted, found = (json.loads(open(path).read()) for path in (wanted, tmp_path / 'onnx' / 'results_nusc.json'))
    assert found['meta'] == wanted['meta'] and list(found['results']) == list(wanted['results'])
    for token, boxes in wanted['results'].items():
        assert len(boxes) > 5 and len(found['results'][token]) == len(boxes)
        for mine, other in zip(boxes, found['results'][token]):
            assert mine['detection_name'] == other['detection_name']
            np.testing.assert_allclose(numbers(mine), numbers(other), atol=1e-3)


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
