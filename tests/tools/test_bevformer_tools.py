"""The tools on a distilled BEVFormer, shrunk: flops, timings, pictures, publishing, and a test without its teacher."""

import copy
import importlib.util
import json

import cv2
import pytest
import torch
from helpers.golden import make_model, tiny_batch, tiny_config
from helpers.golden_sizes import SIZES
from helpers.nuscenes_batch import load_tables, move_data, write_infos
from mmcv import Config
from mmcv.runner import save_checkpoint

FOLDER = 'configs/lidar2camera_bev_distillation/teacher_to_bevformer'
SMALL = ['--points', '400', '--boxes', '3']


@pytest.fixture(scope='module')
def files(tmp_path_factory, repo_root, tiny_nuscenes):
    """Config file of the distilled R50 with CRD for queries, networks shrunk, teacher random; and a checkpoint."""
    folder = tmp_path_factory.mktemp('bevformer')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(repo_root)
        cfg = tiny_config(f'{FOLDER}/lidarformer_to_bevformer_nus_crd_r50.py', folder)
    nusc = load_tables(tiny_nuscenes)
    nusc.scene = nusc.scene[:1]
    infos = str(write_infos(nusc, folder, 'base'))
    move_data(cfg.data, tiny_nuscenes, {'base': infos}, {})
    cfg.model.student.motion_source = 'poses'
    for split in cfg.data.values():
        for step in split.pipeline if isinstance(split, dict) else ():
            step.update(dict(scale=0.1) if step.type == 'NormalizePad' else {})
            if 'RangeFilter' in step.type:
                step.point_cloud_range = cfg.model.student.bev_encoder.point_cloud_range
    cfg.data.workers_per_gpu = 0
    cfg.dump(str(folder / 'distill.py'))
    model = make_model(copy.deepcopy(cfg))
    losses = model.forward_train(**tiny_batch(cfg, model))
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    torch.optim.AdamW(model.parameters(), lr=1e-3).step()
    save_checkpoint(model, str(folder / 'epoch_24.pth'), meta=dict(CLASSES=tuple(model.head.classes), epoch=24))
    return folder


@pytest.fixture
def script(repo_root, monkeypatch):
    """Function: path under tools/ -> its ``main``."""
    monkeypatch.chdir(repo_root)

    def load(name):
        spec = importlib.util.spec_from_file_location(name.split('/')[-1], repo_root / 'tools' / f'{name}.py')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return lambda *words: module.main([str(word) for word in words])

    return load


def test_a_made_up_batch_has_the_queue_of_training_or_one_frame(tool, files):
    models = tool('benchmarks.models')
    args = tool('benchmark').parse_args(['step', str(files / 'distill.py'), *SMALL])
    cfg = models.read_config(args)
    model, _ = models.build_distiller(cfg, args)
    batch = models.made_up_batch(cfg, model.student, args, 2)
    assert batch['img'].shape == (2, 4, 6, 3, 96, 160) and batch['can_bus'].shape == (2, 4, 18)
    assert batch['has_prev'].tolist() == [[True, True, True, False]] * 2
    assert models.made_up_batch(cfg, model.student, args, 1, testing=True)['img'].shape == (1, 1, 6, 3, 96, 160)
    full = Config.fromfile('configs/bevformer/bevformer_r50_928x1600_24e_nus.py')
    assert models._image_size(full.data.train.pipeline) == (928, 1600)


def test_flops_of_every_part(tool, files, tmp_path):
    tool('get_flops').main([str(files / 'distill.py'), *SMALL, '--out', str(tmp_path / 'flops.json')])
    report = json.loads((tmp_path / 'flops.json').read_text())
    parts = ['student: bev_encoder', 'student: pts_bbox_head', 'teacher: pts_middle_encoder', 'teacher: bev_encoder']
    assert all(report[f'{part}.{key}'] > 0 for part in (*parts, 'aligner: bev') for key in ('macs', 'parameters'))


def test_step_and_inference_are_timed(tool, files, tmp_path):
    for subject, key in (('step', 'student_forward.median_ms'), ('inference', 'whole.median_ms')):
        out = tmp_path / f'{subject}.json'
        words = [subject, str(files / 'distill.py'), *SMALL, '--rounds', '2', '--json', str(out)]
        tool('benchmark').main(words)
        assert json.loads(out.read_text())[f'{subject}.fp32.batch1.{key}'] > 0


def test_steps_of_the_pipeline_are_timed(tool, files, tmp_path):
    out = tmp_path / 'data.json'
    tool('benchmark').main(['data', str(files / 'distill.py'), '--samples', '2', '--workers', '1', '--json', str(out)])
    steps = [row[0] for row in json.loads(out.read_text())['tables']['steps']]
    assert '1. SelectKeyframeQueue' in steps and '5. NormalizePad' in steps


def test_a_picture_of_what_is_distilled(script, files, tmp_path):
    out = tmp_path / 'distill.png'
    script('visualization/draw_distill')(files / 'distill.py', files / 'epoch_24.pth', '--out', out, '--panel', '40')
    assert cv2.imread(str(out)).size > 0


def options(sizes, prefix):
    """Nested sizes as words for ``--cfg-options``."""
    words = []
    for key, value in sizes.items():
        nested = isinstance(value, dict)
        words += options(value, f'{prefix}.{key}') if nested else [f'{prefix}.{key}={value}'.replace(' ', '')]
    return words


def test_the_command_of_the_method_s_readme(script, files, tiny_nuscenes, tmp_path, capsys):
    """On the config itself, its sizes overridden, where no teacher's file is; with the words of the command."""
    test = f'data.test.data_root={tiny_nuscenes} data.test.ann_file={files / "nuscenes_infos_train_base.pkl"}'.split()
    steps = ['data.test.pipeline.1.motion_source=poses', 'data.test.pipeline.3.scale=0.1', 'data.workers_per_gpu=0']
    student = [*options(SIZES['BEVFormer'], 'model.student'), 'model.student.motion_source=poses']
    command = (f'{FOLDER}/lidarformer_to_bevformer_nus_1x1conv_r50.py', files / 'epoch_24.pth', '--eval', 'mAP')
    script('test')(*command, '--work-dir', tmp_path, '--cfg-options', *student, *test, *steps)
    assert 'NDS' in capsys.readouterr().out and list(tmp_path.glob('eval_*.json'))


@pytest.mark.parametrize('name', ['publish_model', 'export_student'])
def test_published_and_exported_files_are_tested_without_a_teacher(script, files, tmp_path, capsys, name):
    script(f'model_converters/{name}')(files / 'epoch_24.pth', tmp_path / 'student.pth')
    (checkpoint,) = tmp_path.glob('*.pth')
    cfg = Config.fromfile(str(files / 'distill.py'))
    cfg.model.teacher = dict(config='nowhere.py', checkpoint='nowhere.pth')
    cfg.dump(str(tmp_path / 'config.py'))
    script('test')(tmp_path / 'config.py', checkpoint, '--eval', 'mAP', '--work-dir', tmp_path / 'eval')
    assert 'NDS' in capsys.readouterr().out
