"""benchmark.py runs at tiny sizes, and its files hold what they promise."""

import json

import pytest
import torch
from helpers.nuscenes_batch import load_tables, write_infos

SMALL = ['--points', '400', '--boxes', '3']
DEVICES = ['cpu', pytest.param('cuda', marks=[
    pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device')
])]  # fmt: skip


@pytest.fixture
def run(tool, tmp_path, monkeypatch, repo_root):
    """Function: arguments of benchmark.py -> what it writes to --out."""
    monkeypatch.chdir(repo_root)  # a teacher's config is named relative to it

    def call(*words):
        out = tmp_path / 'out.json'
        tool('benchmark').main([*map(str, words), '--out', str(out)])
        return json.loads(out.read_text())

    return call


@pytest.mark.parametrize('device', DEVICES)
def test_attention(run, device):
    report = run('attention', '--tiny', '--rounds', '2', '--device', device)
    assert 0 < report['spatial_attention.pairs.packed'] < report['spatial_attention.pairs.padded']
    assert 0 <= report['spatial_attention.max_difference'] <= 1e-3
    for label in ('forward', 'forward_backward'):
        assert report[f'sampling.{label}_ratio_vs_tall_image'] > 0
        assert report[f'spatial_attention.{label}_ratio_vs_padded'] > 0
        assert report[f'spatial_attention.{label}_peak_extra_mib.packed'] > 0
    assert report['history.forward_backward_ratio_vs_gradients'] > 0
    peaks = [report[f'history.forward_backward_peak_extra_mib.{name}'] for name in ('no_gradients', 'gradients')]
    assert 0 < peaks[0] < peaks[1]
    assert list(report['tables']) == ['sampling', 'spatial_attention', 'history']


@pytest.mark.parametrize('device', DEVICES)
def test_ops(run, device):
    report = run('ops', '--tiny', '--rounds', '2', '--threads', torch.get_num_threads(), '--device', device)
    for label in ('forward', 'forward_backward'):
        for peer in ('cumsum', 'index_add', 'intervals'):
            assert report[f'bev_pool.{label}_ratio_vs_{peer}'] > 0
        assert report[f'bev_pool.{label}_peak_extra_mib.fused'] > 0
    assert report['bev_pool.points_in_cells'] > 0 and report['bev_pool.plan.median_ms'] > 0
    assert report['regions.time_ratio_vs_numpy'] > 0 and report['aoa_steps.forward_ratio_vs_upsample_first'] > 0
    assert report['aoa.max_difference'] <= 1e-5 and report['tiny']
    assert report['machine']['torch'] == torch.__version__
    assert report['machine']['threads'] == torch.get_num_threads()
    assert list(report['tables']) == ['bev_pooling', 'regions', 'projection_order']


@pytest.mark.parametrize('device', DEVICES)
def test_sparse(run, device):
    report = run('sparse', '--tiny', '--rounds', '2', '--device', device)
    for name in ('submanifold', 'strided'):
        for label in ('rulebook', 'forward', 'forward_backward'):
            assert report[f'{name}.{label}_ratio_vs_torch'] > 0
            assert report[f'{name}.{label}_peak_extra_mib.kernels'] > 0
        assert report[f'{name}.max_difference'] <= 1e-4
    assert 0 < report['voxels'] <= 300 < report['strided.pairs']
    assert list(report['tables']) == ['submanifold', 'strided']


@pytest.mark.parametrize('device', DEVICES)
def test_step(run, tool, shrunk_config, device):
    words = ['--rounds', '2', '--precision', 'fp32', 'bf16', '--teacher-cells', '12', '--device', device]
    report = run('step', shrunk_config, *SMALL, *words)
    parts = [part.replace(' ', '_') for part in tool('benchmarks.step').PARTS]
    for setting in ('step.fp32.batch1', 'step.bf16.batch1'):
        times = {part: report[f'{setting}.{part}.median_ms'] for part in parts}
        assert min(times.values()) > 0
        low = [report[f'{setting}.{part}.low_ms'] for part in parts]
        assert sum(low) <= report[f'{setting}.distilled.high_ms']
        assert report[f'{setting}.samples_per_s'] == pytest.approx(1e3 / report[f'{setting}.distilled.median_ms'])
        assert 0 < report[f'{setting}.teacher_boxes'] <= 12
        assert report[f'{setting}.peak_memory_gib'] > 0
        assert setting + '.overhead_share_of_student_step' in report
    assert report['step.random_teacher'] is True
    header, *rows = report['tables']['step']
    assert header == ['ms (share of the step)', 'fp32, batch 1', 'bf16, batch 1']
    assert [row[0] for row in rows][:2] == ['student forward', 'teacher forward']


def test_a_random_teacher_is_made_as_sure_as_asked(tool, shrunk_config, repo_root, monkeypatch):
    monkeypatch.chdir(repo_root)
    models = tool('benchmarks.models')
    args = tool('benchmark').parse_args(['step', str(shrunk_config), *SMALL])
    cfg = models.read_config(args)
    model, random_teacher = models.build_distiller(cfg, args)
    batch = models.made_up_batch(cfg, model.student, args, 2)
    assert random_teacher and batch['img'].shape == (2, 2, 6, 3, 64, 176) and len(batch['points'][0]) == 400
    models.make_center_head_sure(model.teacher, batch, 30)
    with torch.no_grad():
        predictions = model.teacher.respond(model.teacher.extract_bev(batch).head_map, batch['img_metas'])
    assert [int((preds['heatmap'] > models.SURE).sum()) for (preds,) in predictions] == [10] * 6


@pytest.mark.slow
@pytest.mark.parametrize('device', DEVICES)
def test_inference(run, shrunk_config, device):
    report = run('inference', shrunk_config, *SMALL, '--rounds', '2', '--batch', '1', '2', '--device', device)
    for batch in (1, 2):
        median = report[f'inference.fp32.batch{batch}.whole.median_ms']
        assert report[f'inference.fp32.batch{batch}.frames_per_s'] == pytest.approx(1e3 * batch / median)
        assert report[f'inference.fp32.batch{batch}.peak_extra_mib'] > 0
    assert report['inference.weights_mib'] > 0 and len(report['tables']['inference']) == 3


def test_data(run, tiny_nuscenes, tmp_path):
    ann_file = write_infos(load_tables(tiny_nuscenes), tmp_path)
    options = [f'data.train.ann_file={ann_file}', f'data.train.data_root={tiny_nuscenes}']
    config = 'configs/quickstart/dualdistill_toy.py'
    report = run('data', config, '--samples', '4', '--workers', '1', '--cfg-options', *options)
    steps = report['tables']['steps']
    assert [row[0] for row in steps][:3] == ['pipeline step', '0. info', '1. SelectAdjacentFrames']
    assert len(steps) > 5 and all(float(row[1]) >= 0 for row in steps[1:]) and float(steps[-1][1]) > 0
    assert report['data.workers1.samples_per_s'] > 0 and report['data.one_process.samples_per_s'] > 0


def test_evaluation(run):
    report = run('evaluation', '--keyframes', '12', '--boxes', '30', '--objects', '20')
    for source in ('results', 'file'):
        fast, devkit = (report[f'evaluation.{source}.{backend}.cpu_s'] for backend in ('fast', 'devkit'))
        assert report[f'evaluation.{source}.ratio_vs_devkit'] == pytest.approx(devkit / fast)
        assert min(report[f'evaluation.{source}.{backend}.peak_mib'] for backend in ('fast', 'devkit')) > 0
    assert 0 <= report['evaluation.max_difference'] <= 1e-9 and report['evaluation.prepare.cpu_s'] > 0
    assert [row[0] for row in report['tables']['evaluation']][0] == 'evaluation, 12 keyframes of 30 boxes'


def test_bad_requests(tool):
    benchmark = tool('benchmark')
    with pytest.raises(SystemExit):
        benchmark.parse_args(['ops', '--rounds', '1'])
    with pytest.raises(ValueError, match='trains a BEVDepth4D: give a distillation config'):
        benchmark.main(['step', 'configs/quickstart/bevdepth4d_toy.py', '--rounds', '2'])
