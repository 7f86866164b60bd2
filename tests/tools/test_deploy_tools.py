"""From a checkpoint to a submission file without torch: the boxes that testing gives, a scene's memory included."""

import json
import re
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


@pytest.mark.parametrize('same, own', [(0.5, 0.0), (0.0, 0.5), (float('nan'), 0.0), (0.0, float('nan'))])
def test_an_export_that_differs_from_torch_is_not_written(student, tmp_path, monkeypatch, same, own):
    cfg, options, *_ = student
    out = tmp_path / 'plain.onnx'
    out.write_text('of an earlier export')
    monkeypatch.setattr(verify, 'compare', lambda *_: verify.Agreement(same, 1.0, own))
    words = [cfg.filename, str(tmp_path / 'plain.pth'), '--out', str(out), '--cfg-options']
    with pytest.raises(ValueError, match=re.escape(f'{same:.1e} with the same inputs, and by {own:.1e} in the median')):
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


@pytest.fixture
def printed(capsys):
    """Function: a tool below tools/deploy and its words -> what it prints."""

    def call_here(tool, *words):
        load_tool(f'deploy/{tool}').main([str(word) for word in words])
        return capsys.readouterr().out

    return call_here


def test_from_a_checkpoint_to_scores_and_speeds(student, printed, tiny_nuscenes, tmp_path):
    """Half weights, eight bits, scores that are those of the data set's own evaluation, and a table of times."""
    cfg, options, _, dataset = student
    words = ['--cfg-options', *(f'{key}={value}' for key, value in options.items())]
    data = ['--data-root', tiny_nuscenes, '--ann-file', options['data.test.ann_file']]
    plain, half, small = (tmp_path / 'new' / f'{name}.onnx' for name in ('plain', 'half', 'small'))
    for path, more in ((plain, []), (half, ['--fp16'])):
        printed('export_onnx.py', cfg.filename, tmp_path / 'plain.pth', '--out', path, *more, *words)
    assert half.stat().st_size < 0.7 * plain.stat().st_size
    said = printed('quantize_onnx.py', plain, '--out', small, '--samples', 2, *data)
    assert 'convolutions of img_backbone, img_neck' in said and small.stat().st_size < 0.9 * plain.stat().st_size
    said = printed('run_onnx.py', small, '--out', tmp_path / 'small', '--eval', *data)
    scores = dataset.evaluate_file(str(tmp_path / 'small' / 'results_nusc.json'))
    (mean,) = (value for name, value in scores.items() if name.endswith('mAP'))
    assert f'mAP {mean:.4f}' in said
    said = printed('benchmark_onnx.py', cfg.filename, plain, small, '--rounds', 2, '--threads', 1, *words)
    rows = {line.split('  ')[0].strip() for line in said.splitlines()}
    assert {'torch eager', 'plain', 'small'} <= rows


def test_run_onnx_looks_for_ground_truth_and_folder_first(student, printed, tiny_nuscenes, tmp_path, monkeypatch):
    cfg, options, detector, _ = student
    export_student(cfg, detector, tmp_path / 'student.onnx')
    monkeypatch.setattr('dualdistill_runtime.student.Student._answer', None)  # nothing is detected
    common = ['run_onnx.py', tmp_path / 'student.onnx', '--ann-file', options['data.test.ann_file']]
    with pytest.raises(FileNotFoundError, match='elsewhere'):
        printed(*common, '--data-root', tmp_path / 'elsewhere', '--eval', '--out', tmp_path / 'out')
    (tmp_path / 'file').touch()
    with pytest.raises(ValueError, match='--out .*file: cannot be written to'):
        printed(*common, '--data-root', tiny_nuscenes, '--out', tmp_path / 'file')


def test_two_files_of_one_name_cannot_be_told_apart(printed, capsys):
    with pytest.raises(SystemExit):
        printed('benchmark_onnx.py', 'config.py', 'a/student.onnx', 'b/student.onnx')
    assert 'two models have the same name: a/student.onnx b/student.onnx' in capsys.readouterr().err


def test_run_onnx_knows_none_of_the_heavy_libraries(repo_root, tmp_path):
    (tmp_path / 'other.onnx').write_bytes(b'something else')
    program = (
        f"import runpy, sys; sys.argv = ['run_onnx.py', '{tmp_path}/other.onnx', '--data-root', 'nowhere']\n"
        "try: runpy.run_path('tools/deploy/run_onnx.py', run_name='__main__')\n"
        'except SystemExit as end: print(end)\n'
        'print(*{name.split(".")[0] for name in sys.modules})'
    )
    done = subprocess.run([sys.executable, '-c', program], cwd=repo_root, capture_output=True, text=True)
    *error, modules = done.stdout.splitlines()
    assert 'other.onnx: onnxruntime cannot read it' in error[0] and not set(WORDS) & set(modules.split())


def test_static_quantisation_wants_images(repo_root):
    done = subprocess.run(
        [sys.executable, 'tools/deploy/quantize_onnx.py', 'student.onnx', '--out', 'small.onnx'],
        cwd=repo_root, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2 and '--mode static looks at training images: give --data-root' in done.stderr
