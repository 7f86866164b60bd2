"""The house's detectors with DETR heads: train, test, distil, publish and draw, as with CenterPoint heads."""

import json
import re

import cv2
import pytest
import torch
from helpers.nuscenes_batch import load_tables, write_infos
from helpers.tools import load_tool
from mmcv import Config
from mmdet3d.models import build_model

from mmdet3d_plugin.audit.config_check import check_config
from mmdet3d_plugin.checkpoints.checkpoint_findings import meaning_findings
from mmdet3d_plugin.checkpoints.output_meaning import class_prefixes, detector_facts

HEAD = """
query_head = dict(
    _delete_=True,
    type='DETRBEVHead',
    in_channels=96,
    class_names={{{{_base_.class_names}}}},
    num_query=20,
    transformer=dict(type='QueryTransformer', num_layers=2, num_heads=3, feedforward_channels=64),
    bbox_coder=dict(
        type='QueryBoxCoder',
        pc_range=[-19.2, -19.2, -5.0, 19.2, 19.2, 3.0],
        post_center_range=[-24.0, -24.0, -10.0, 24.0, 24.0, 10.0],
        max_num=50,
    ),
)
assigner = dict(type='HungarianBoxAssigner')
query_cfg = dict(pts_bbox_head=query_head, train_cfg=dict(pts=dict(_delete_=True, assigner=assigner)), test_cfg=None)
data = dict(samples_per_gpu=2, workers_per_gpu=0)
runner = dict(max_epochs=1)
log_config = dict(interval=1)
lr_config = dict(_delete_=True, policy='fixed')
momentum_config = None
"""
TEACHER = "_base_ = ['{repo}/configs/quickstart/centerpoint_toy.py']" + HEAD + 'model = query_cfg\n'
STUDENT = (
    "_base_ = ['{repo}/configs/quickstart/bevdepth4d_toy.py']"
    + HEAD
    + 'model = dict(img_bev_encoder_neck=dict(out_channels=96), **query_cfg)\n'
)
DISTILLER = (
    "_base_ = ['{repo}/configs/quickstart/dualdistill_toy.py']"
    + HEAD
    + """
model = dict(
    student=dict(img_bev_encoder_neck=dict(out_channels=96), **query_cfg),
    teacher=dict(config='{folder}/teacher.py', checkpoint='{folder}/teacher/epoch_1.pth', cfg_options=None),
    levels=dict(
        backbone1=None,
        backbone2=None,
        head=dict(
            aligner=dict(_delete_=True, type='AOAAligner', num_heads=2, residual=True, pool=8),
            loss=dict(attention='teacher'),
            regions=dict(cell_anchor='center', fp_threshold=0.005),
        ),
    ),
    response=dict(_delete_=True, type='CrossHeadQueryLoss', score_threshold=1e-5),
)
"""
)


@pytest.fixture(scope='module')
def files(tmp_path_factory, tiny_nuscenes, repo_root):
    """Folder with the three configs, and for either kind of info file the words that move the data there."""
    folder = tmp_path_factory.mktemp('queries')
    for name, text in dict(teacher=TEACHER, student=STUDENT, distiller=DISTILLER).items():
        (folder / f'{name}.py').write_text(text.format(repo=repo_root, folder=folder))
    nusc = load_tables(tiny_nuscenes)
    nusc.scene = nusc.scene[:1]  # four samples: two iterations
    words = {}
    for kind in ('base', '4d'):
        infos = write_infos(nusc, folder, kind)
        words[kind] = [
            word
            for split in ('train', 'val', 'test')
            for word in (f'data.{split}.data_root={tiny_nuscenes}', f'data.{split}.ann_file={infos}')
        ]
    return folder, words


@pytest.fixture
def run():
    """Function: run a tool below ``tools/`` with words for its command line."""
    return lambda name, *words: load_tool(name).main([str(word) for word in words])


def weights(path):
    return torch.load(path, weights_only=True)['state_dict']


def evaluate(run, config, checkpoint, out, options):
    """Metrics of ``tools/test.py``; the submission lies in ``out``."""
    run('test.py', config, checkpoint, '--eval', 'bbox', '--work-dir', out,
        '--eval-options', f'jsonfile_prefix={out}', *options)  # fmt: skip
    (metrics,) = (json.loads(path.read_text())['metric'] for path in out.glob('eval_*.json'))
    assert 0 <= metrics['mAP'] <= 1 and 0 <= metrics['NDS'] <= 1
    return out / 'results_nusc.json'


def picture_is_drawn(path):
    assert cv2.imread(str(path)).std() > 5


def test_a_lidar_detector_with_queries_teaches_a_camera_detector_with_queries(
    files, run, train_tool, tmp_path, repo_root, monkeypatch
):
    monkeypatch.chdir(repo_root)
    folder, words = files
    lidar, camera = (['--cfg-options', *words[kind]] for kind in ('base', '4d'))
    log = train_tool(folder / 'teacher.py', '--work-dir', folder / 'teacher', '--no-validate', *lidar)
    assert {'loss_cls', 'loss_bbox', 'd0.loss_cls', 'd0.loss_bbox'} <= set(log[1, 1])
    teacher = folder / 'teacher' / 'epoch_1.pth'
    results = evaluate(run, folder / 'teacher.py', teacher, tmp_path / 'teacher', lidar)
    run('visualization/draw_predictions.py', folder / 'teacher.py', '--pred', f'queries={results}', '--num', 1,
        '--score-thr', 0.0, '--out-dir', tmp_path / 'pictures', *lidar)  # fmt: skip
    picture_is_drawn(next((tmp_path / 'pictures').glob('*.png')))

    table, notes = check_config(str(folder / 'distiller.py'))
    assert notes == []
    assert re.search(r'response +aligned head +teacher.s head +CrossHeadQueryLoss 1', table)
    log = train_tool(folder / 'distiller.py', '--work-dir', tmp_path / 'distilled', '--no-validate', *camera)
    expected = {'d0.loss_cls', 'loss_depth', 'distill.head.loss_fp', 'crd.d0.loss_bbox', 'crd.loss_cls'}
    assert expected <= set(log[1, 1]) and log[1, 1]['crd.num_boxes'] > 0
    distilled = tmp_path / 'distilled' / 'epoch_1.pth'
    picture = tmp_path / 'distill.png'
    run('visualization/draw_distill.py', folder / 'distiller.py', distilled, '--out', picture, '--panel', 40, *camera)
    picture_is_drawn(picture)

    teacher.rename(folder / 'gone.pth')  # the student's test needs no teacher
    evaluate(run, folder / 'distiller.py', distilled, tmp_path / 'student', camera)
    run('model_converters/export_student.py', distilled, tmp_path / 'student.pth')
    (exported,) = tmp_path.glob('student-*.pth')
    plain = build_model(Config.fromfile(str(folder / 'student.py')).model)
    plain.load_state_dict(weights(exported), strict=True)
    evaluate(run, folder / 'student.py', exported, tmp_path / 'plain', camera)


def distiller_with(files, **changes):
    """The distiller on a random teacher, built from its config with changes."""
    cfg = Config.fromfile(str(files[0] / 'distiller.py'))
    cfg.model.teacher.update(checkpoint=None, allow_random_weights=True)
    cfg.model.update(changes)
    return build_model(cfg.model)


@pytest.mark.parametrize(
    ('parts', 'inherited'),
    [
        (True, {'decoder', 'branches'}),
        (
            ['decoder', 'branches', 'queries', 'reference_points'],
            {'decoder', 'branches', 'queries', 'reference_points'},
        ),
        (False, set()),
    ],
)
def test_the_student_starts_with_the_teachers_parts(files, parts, inherited, repo_root, monkeypatch):
    monkeypatch.chdir(repo_root)
    model = distiller_with(files, inherit_head=parts)
    model.init_weights()
    ours, theirs = model.student.head.inheritable(), model.teacher.head.inheritable()
    for name, part in ours.items():
        given = theirs[name].state_dict()
        same = [torch.equal(value, given[key]) for key, value in part.state_dict().items() if value.ndim > 1]
        assert all(same) if name in inherited else not all(same), name


def test_what_does_not_fit_is_named_at_build_time(files, repo_root, monkeypatch):
    monkeypatch.chdir(repo_root)
    for options, message in (
        ({'model.pts_bbox_head.in_channels': 93}, 'the head takes 93 channels but the BEV map is 96@48x48'),
        ({'model.pts_bbox_head.bbox_coder.pc_range': [-50, -50, -5, 50, 50, 3]}, 'the BEV map covers .* -19.2..19.2'),
    ):
        broken = Config.fromfile(str(files[0] / 'student.py'))
        broken.merge_from_dict(options)
        with pytest.raises(ValueError, match=message):
            build_model(broken.model)
    with pytest.raises(ValueError, match='BEVCenterHead .* the teacher head is DETRBEVHead'):
        distiller_with(files, response=dict(type='CrossHeadDenseLoss', level='head'))


def test_a_file_with_another_range_of_centres_is_told(files, repo_root, monkeypatch):
    monkeypatch.chdir(repo_root)
    model = build_model(Config.fromfile(str(files[0] / 'student.py')).model)
    facts = detector_facts(model)
    assert facts['box_range'] == [-19.2, -19.2, -5.0, 19.2, 19.2, 3.0]
    for box_range, verdict in ((facts['box_range'], 'ok'), ([-19.2, -19.2, -4.0, 19.2, 19.2, 4.0], 'wrong')):
        found = {f.check: f for f in meaning_findings(model, dict(detector=dict(facts, box_range=box_range)))}
        assert found['range'].verdict == verdict
        assert verdict == 'ok' or 'trained with box_range [-19.2, -19.2, -4.0' in found['range'].text
    assert class_prefixes(model) == ('pts_bbox_head.cls_branches.',)
