"""benchmark.py and get_flops.py run at tiny sizes, and their files and tables hold what they promise."""

import importlib
import json
import re

import pytest
import torch
from helpers.golden import tiny_config
from helpers.nuscenes_batch import load_tables, write_infos
from torch import nn

DISTILL = 'configs/lidar2camera_bev_distillation/teacher_to_bevdepth4d/centerpoint_to_bevdepth4d_r50_256x704.py'
SMALL = ['--points', '400', '--boxes', '3']
DEVICES = ['cpu', pytest.param('cuda', marks=[
    pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device')
])]  # fmt: skip


@pytest.fixture
def tool(analysis_tools):
    """Function: name -> module of a tool."""
    return importlib.import_module


@pytest.fixture
def run(tool, tmp_path, monkeypatch, repo_root):
    """Function: arguments of benchmark.py -> what it writes to --out."""
    monkeypatch.chdir(repo_root)  # a teacher's config is named relative to it

    def call(*words):
        out = tmp_path / 'out.json'
        tool('benchmark').main([*map(str, words), '--out', str(out)])
        return json.loads(out.read_text())

    return call


@pytest.fixture(scope='module')
def config(tmp_path_factory, repo_root):
    """Config file of the distilled R50, its networks shrunk, its teacher random."""
    folder = tmp_path_factory.mktemp('config')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(repo_root)
        tiny_config(DISTILL, folder).dump(str(folder / 'distill.py'))
    return folder / 'distill.py'


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
def test_step(run, tool, config, device):
    words = ['--rounds', '2', '--precision', 'fp32', 'bf16', '--teacher-cells', '12', '--device', device]
    report = run('step', config, *SMALL, *words)
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


def test_a_random_teacher_is_made_as_sure_as_asked(tool, config, repo_root, monkeypatch):
    monkeypatch.chdir(repo_root)
    models = tool('benchmarks.models')
    args = tool('benchmark').parse_args(['step', str(config), *SMALL])
    cfg, model, random_teacher = models.load_distiller(args)
    batch = models.made_up_batch(cfg, args, 2)
    assert random_teacher and batch['img'].shape == (2, 2, 6, 3, 64, 176) and len(batch['points'][0]) == 400
    models.make_teacher_sure(model.teacher, batch, 30)
    with torch.no_grad():
        predictions = model.teacher.respond(model.teacher.extract_bev(batch).neck)
    assert [int((preds['heatmap'].sigmoid() > 0.4453).sum()) for (preds,) in predictions] == [10] * 6


@pytest.mark.parametrize('device', DEVICES)
def test_inference(run, config, device):
    report = run('inference', config, *SMALL, '--rounds', '2', '--batch', '1', '2', '--device', device)
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
    assert sum(float(row[1]) for row in steps[1:-1]) == pytest.approx(float(steps[-1][1]), rel=0.5)
    assert report['data.workers1.samples_per_s'] > 0 and report['data.one_process.samples_per_s'] > 0


def test_bad_requests(tool, config):
    benchmark = tool('benchmark')
    with pytest.raises(SystemExit):
        benchmark.parse_args(['ops', '--rounds', '1'])
    with pytest.raises(ValueError, match='trains a BEVDepth4D: give a distillation config'):
        benchmark.main(['step', 'configs/quickstart/bevdepth4d_toy.py', '--rounds', '2'])


class _Layers(nn.Module):
    """One convolution, one deformable convolution with its own offsets, attention."""

    def __init__(self, deformable):
        super().__init__()
        self.conv, self.deformable = nn.Conv2d(3, 8, 3, padding=1), deformable

    def forward(self, images):
        maps = self.deformable(self.conv(images))
        tokens = maps.flatten(2).transpose(1, 2).unsqueeze(1)
        return nn.functional.scaled_dot_product_attention(tokens, tokens, tokens)


def test_multiply_adds_are_those_worked_out_by_hand(tool):
    from mmcv.ops import ModulatedDeformConv2dPack

    model, cells = _Layers(ModulatedDeformConv2dPack(8, 4, 3, padding=1, bias=False)), 5 * 6
    found = tool('get_flops').count(model, lambda: model(torch.randn(1, 3, 5, 6)))
    conv, offsets, deformed = (9 * cells * pair for pair in (3 * 8, 8 * 27, 8 * 4))
    assert found == {'': conv + offsets + deformed + 2 * cells * cells * 4, 'conv': conv,
                     'deformable': offsets + deformed}  # fmt: skip


def test_flops_of_every_part_of_a_distiller(tool, config, tmp_path, repo_root, monkeypatch):
    monkeypatch.chdir(repo_root)
    out = tmp_path / 'flops.json'
    tool('get_flops').main([str(config), *SMALL, '--out', str(out)])
    report = json.loads(out.read_text())
    parts = [row[0] for row in report['tables']['flops'][1:]]
    for owner in ('student', 'teacher'):
        for key in ('parameters', 'macs'):
            of_parts = [report[f'{part}.{key}'] for part in parts if re.match(f'{owner}: (?!all)', part)]
            assert sum(of_parts) == report[f'{owner}: all.{key}'] > 0
    assert parts[-3:] == [f'aligner: {level}' for level in ('backbone1', 'backbone2', 'head')]
    assert report['aligner: head.macs'] == 16 * 48 * 16 * 16


@pytest.fixture
def result_file(tmp_path):
    """Function: extra entries -> result file ops.json."""

    def write(**extra):
        machine = dict(processor='P', cores=2, threads=1, load_before=0.1, device='cpu', torch='2')
        tables = dict(regions=[['regions', 'ours'], ['time', '1']])
        report = dict(dict(command='benchmark.py ops', machine=machine, tables=tables), **extra)
        (tmp_path / 'ops.json').write_text(json.dumps(report))
        return str(tmp_path / 'ops.json')

    return write


def test_tables_go_into_documents(tool, result_file, tmp_path, capsys):
    document = tmp_path / 'doc.md'
    document.write_text('a\n<!-- table ops/regions -->\nold\n<!-- end of table -->\nb\n')
    for _ in range(2):
        tool('benchmark').main(['tables', result_file(), '--into', str(document)])
        assert document.read_text() == (
            'a\n<!-- table ops/regions -->\n\n| regions | ours |\n|---|---|\n| time | 1 |\n\n'
            '`benchmark.py ops`: 1 thread(s) of P, 2 cores, load before 0.1, torch 2.\n\n<!-- end of table -->\nb\n'
        )
    assert '1 table(s) written' in capsys.readouterr().out


@pytest.mark.parametrize(
    'extra, text, message',
    [
        (dict(tiny=True), '<!-- table ops/regions -->\n<!-- end of table -->', 'made with --tiny'),
        ({}, 'nothing', r'has no comment <!-- table ops/'),
        ({}, '<!-- table ops/other -->\n<!-- end of table -->', 'ops.json has no table other: regions'),
    ],
)
def test_tables_that_cannot_be_written(tool, result_file, tmp_path, extra, text, message):
    document = tmp_path / 'doc.md'
    document.write_text(text)
    with pytest.raises(ValueError, match=message):
        tool('benchmark').main(['tables', result_file(**extra), '--into', str(document)])
    assert document.read_text() == text


def test_the_performance_document_asks_for_tables_there_are(repo_root):
    text = (repo_root / 'docs' / 'performance.md').read_text()
    places = re.findall(r'<!-- table ([\w.-]+)/(\w+) -->', text)
    known = dict(ops=('bev_pooling', 'regions', 'projection_order'), step=('step',), data=('steps', 'loader'),
                 inference=('inference',), flops=('flops',))  # fmt: skip
    assert places and all(table in known[file.split('_')[0]] for file, table in places)
    assert text.count('<!-- table ') == text.count('<!-- end of table -->') == len(places)
