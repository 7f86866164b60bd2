"""Whatever has the documented members can be student or teacher: everything the tools do, with two detectors that the
product does not know (``helpers/foreign.py``): own level names, own sizes, a query head without heatmaps."""

import copy
import json
import re

import cv2
import pytest
import torch
from helpers import foreign, toy_engine  # noqa: F401  (registers detectors)
from helpers.distill_fakes import make_batch
from helpers.nuscenes_batch import load_tables, write_infos
from helpers.tools import load_tool
from mmcv import Config
from mmdet3d.models import build_model
from torch import nn

from mmdet3d_plugin.audit.config_check import check_config
from mmdet3d_plugin.audit.config_problem import ConfigProblem
from mmdet3d_plugin.audit.wiring_table import wiring_table
from mmdet3d_plugin.distill import DISTILL, FeatureLoss, ResponseLoss, student_model_cfg
from mmdet3d_plugin.models.heads import BEVHead

TEACHER = """
custom_imports = dict(imports=['mmdet3d_plugin', 'helpers.foreign'], allow_failed_imports=False)
model = dict(type='ForeignTeacher', head=dict(type='QueryHead', in_channels=10, num_queries=12))
"""
DISTILLER = """
_base_ = ['{repo}/configs/quickstart/dualdistill_toy.py']
custom_imports = dict(imports=['mmdet3d_plugin', 'helpers.foreign'], allow_failed_imports=False)
model = dict(
    _delete_=True,
    type='DualDistill',
    student=dict(type='ForeignStudent', head=dict(type='QueryHead', in_channels=8, num_queries=12)),
    teacher=dict(config='{folder}/teacher.py', checkpoint='{folder}/teacher.pth'),
    levels=dict(
        small=dict(
            student='coarse', teacher='counts', aligner=dict(type='AOAAligner', num_heads=2),
            loss=dict(type='RegionWeightedFeatureLoss'),
        ),
        bev=dict(
            student='bird', teacher='fused', aligner=dict(type='Conv1x1Aligner'),
            loss=dict(type='RegionWeightedFeatureLoss', fp_weight=6e-2),
            regions=dict(cell_anchor='corner', fp_threshold=0.3),
        ),
    ),
    response=dict(type='CrossHeadBoxLoss', level='bev', temperature=1.0, score_threshold=0.3),
)
data = dict(samples_per_gpu=2, workers_per_gpu=0)
runner = dict(max_epochs=2)
log_config = dict(interval=1)
lr_config = dict(_delete_=True, policy='fixed')
"""


@pytest.fixture(scope='module')
def files(tmp_path_factory, tiny_nuscenes, repo_root):
    """Folder with teacher.py, teacher.pth and distiller.py, and the words that move the data."""
    folder = tmp_path_factory.mktemp('foreign')
    (folder / 'teacher.py').write_text(TEACHER)
    (folder / 'distiller.py').write_text(DISTILLER.format(repo=repo_root, folder=folder))
    torch.manual_seed(3)
    teacher = build_model(Config.fromfile(str(folder / 'teacher.py')).model)
    torch.save(dict(state_dict=teacher.state_dict()), folder / 'teacher.pth')
    nusc = load_tables(tiny_nuscenes)
    nusc.scene = nusc.scene[:1]  # four samples: two iterations an epoch
    infos = write_infos(nusc, folder, '4d')
    words = []
    for split in ('train', 'val', 'test'):
        words += [f'data.{split}.data_root={tiny_nuscenes}', f'data.{split}.ann_file={infos}']
    return folder, words


@pytest.fixture
def cfg(files):
    return Config.fromfile(str(files[0] / 'distiller.py'))


@pytest.fixture
def make_foreign_batch():
    """Function: a batch of two samples with images as the student takes them."""

    def make(**options):
        batch = make_batch(**options)
        batch['img'] = batch['img'][:, None, None]
        return batch

    return make


def losses_of(log):
    return {key: {name: value for name, value in line.items() if 'loss' in name} for key, line in log.items()}


def test_it_trains_resumes_tests_publishes_and_draws(files, train_tool, tmp_path, repo_root, monkeypatch):
    def run(name, *words):
        load_tool(name).main([str(word) for word in words])

    monkeypatch.chdir(repo_root)
    folder, words = files
    config, options = folder / 'distiller.py', ['--cfg-options', *words]
    whole = train_tool(config, '--work-dir', tmp_path / 'whole', '--no-validate', *options)
    names = {
        'loss_cls',
        'loss_centre',
        'distill.small.loss_fg',
        'distill.bev.loss_fp',
        'crd.loss_cls',
        'crd.loss_centre',
    }
    assert names <= set(whole[1, 1]) and {epoch for epoch, _ in whole} == {1, 2}
    train_tool(config, '--work-dir', tmp_path / 'half', '--no-validate', *options, 'runner.max_epochs=1')
    resumed = train_tool(config, '--work-dir', tmp_path / 'half', '--no-validate', '--auto-resume', *options)
    assert losses_of(resumed) == {key: value for key, value in losses_of(whole).items() if key[0] == 2}

    checkpoint = tmp_path / 'half' / 'epoch_2.pth'
    load_tool('test.py').main(
        [str(word) for word in (config, checkpoint, '--eval', 'bbox', '--work-dir', tmp_path, *options)]
    )
    (metrics,) = (json.loads(path.read_text())['metric'] for path in tmp_path.glob('eval_*.json'))
    assert 0 <= metrics['mAP'] <= 1 and 0 <= metrics['NDS'] <= 1

    run('model_converters/export_student.py', checkpoint, tmp_path / 'student.pth')
    (student,) = tmp_path.glob('student-*.pth')
    state = torch.load(student, weights_only=True)['state_dict']
    assert state and not any(key.startswith(('distill.', 'student.', 'teacher.')) for key in state)
    plain = build_model(student_model_cfg(Config.fromfile(str(config)).model))
    plain.load_state_dict(state, strict=True)

    picture = tmp_path / 'distill.png'
    run('visualization/draw_distill.py', config, checkpoint, '--out', picture, '--panel', 40, *options)
    assert cv2.imread(str(picture)).std() > 5  # something was drawn


def test_check_config_knows_it_by_its_members(files, repo_root, monkeypatch):
    monkeypatch.chdir(repo_root)
    folder, words = files
    table, notes = check_config(str(folder / 'distiller.py'))
    rows = {line.split()[0]: re.split(r'  +', line)[1:] for line in table.split('\n\n')[0].splitlines()}
    assert rows['small'][:3] == ['coarse 4@6x6', 'AOAAligner(num_heads=2)', 'counts 6@24x24']
    assert rows['bev'][0] == 'bird 8@12x12' and rows['response'][0] == 'aligned bev'
    assert 'CrossHeadBoxLoss' in table and notes == []
    # a camera student reads images: a data set that collects none is wrong, and so are points for nobody
    with pytest.raises(ConfigProblem, match=r"data\.val: .*the detector also needs \['img'\]"):
        check_config(
            str(folder / 'distiller.py'), {'data.val.pipeline': [dict(type='FormatBEVInputs', keys=['gt_depth'])]}
        )


def test_the_teacher_takes_overrides(cfg):
    cfg.merge_from_dict({'model.teacher.cfg_options': {'model.head.num_queries': 5}, 'model.teacher.checkpoint': None})
    cfg.merge_from_dict({'model.teacher.allow_random_weights': True, 'model.inherit_head': False})
    assert build_model(cfg.model).teacher.head.num_queries == 5


def test_parts_of_the_head_are_inherited(cfg):
    cfg.model.inherit_head = ['reg_branch']
    model = build_model(cfg.model)
    model.init_weights()
    ours, theirs = model.head, model.teacher.head
    assert torch.equal(ours.reg_branch.weight, theirs.reg_branch.weight)
    assert not torch.equal(ours.cls_branch.weight, theirs.cls_branch.weight)


def test_a_student_that_is_no_bev_detector_is_named(cfg):
    cfg.model.student = dict(type='ToyEngineDetector')
    with pytest.raises(ValueError, match='student ToyEngineDetector is no BEVDetector: derive it from that class'):
        build_model(cfg.model)


@DISTILL.register_module()
class PlainDistance(FeatureLoss):
    """The loss of the documents: one method."""

    def terms(self, student, teacher, regions):
        return dict(distance=(student - teacher).square().mean())


@DISTILL.register_module()
class PlainAgreement(ResponseLoss):
    """Terms of its own names, for a head of its own kind."""

    def terms(self, head, cross, teacher, metas):
        agreement = (cross['logits'] - teacher['logits']).square().mean()
        return dict(agreement=agreement, num_queries=agreement * 0 + 12)


def test_losses_of_one_method_train_and_are_shown(cfg, make_foreign_batch):
    cfg.model.levels.small.loss = dict(type='PlainDistance', loss_weight=3.0)
    cfg.model.response = dict(type='PlainAgreement', level='bev', loss_weight=0.5)
    model = build_model(cfg.model).train()
    losses = model.forward_train(**make_foreign_batch())
    for name, weight in (('distill.small.{}distance', 3.0), ('crd.{}agreement', 0.5)):
        raw, loss = losses[name.format('raw_')], losses[name.format('loss_')]
        assert loss.requires_grad and not raw.requires_grad and raw > 0
        torch.testing.assert_close(loss, weight * raw)
    assert losses['crd.num_queries'] == 12 and not losses['crd.num_queries'].requires_grad
    text = wiring_table(model, cfg.model)
    assert 'PlainDistance 3' in text and 'PlainAgreement 0.5' in text


@pytest.mark.parametrize(
    'part, cfg_of_part, message',
    [
        ('loss', dict(type='CrossHeadBoxLoss'), 'levels.small.loss: CrossHeadBoxLoss is no FeatureLoss'),
        ('aligner', dict(type='PlainDistance'), 'levels.small.aligner: PlainDistance is no Aligner'),
    ],
)
def test_a_part_of_another_kind_is_named(cfg, part, cfg_of_part, message):
    cfg.model.levels.small[part] = cfg_of_part
    with pytest.raises(TypeError, match=message):
        build_model(cfg.model)


def test_wrong_names_and_levels_are_named(cfg):
    for key, value, message in [
        ('levels.small.student', 'backbone1', "'backbone1' is not a level of the student, which has bird, coarse"),
        ('levels.bev.teacher', 'bev', "'bev' is not a level of the teacher, which has counts, fused"),
        (
            'levels.bev.regions',
            dict(anchor=1),
            r"regions of 'bev' takes .*, fp_overlap, got \['anchor'\]",
        ),
        ('response.level', 'head', "response needs a level 'head', levels has small, bev: name one"),
        ('response', dict(type='CrossHeadDenseLoss', level='bev'), 'BEVCenterHead .* the teacher head is QueryHead'),
    ]:
        broken = copy.deepcopy(cfg)
        broken.merge_from_dict({f'model.{key}': dict(value, _delete_=True) if isinstance(value, dict) else value})
        with pytest.raises(ValueError, match=message):
            build_model(broken.model)


def test_a_head_that_lacks_what_every_head_must_answer_is_not_built():
    for missing in ('classes', 'predict', 'decode', 'loss'):
        members = {name: value for name, value in vars(foreign.QueryHead).items() if name != missing}
        head = type('HalfHead', (BEVHead, nn.Module), members)
        with pytest.raises(TypeError, match=f'HalfHead.*{missing}'):
            head(in_channels=8)


@pytest.mark.parametrize('method', ['confidence', 'target_confidence'])
def test_a_head_without_confidence_is_named_at_build_time(cfg, monkeypatch, method):
    monkeypatch.delattr(foreign.QueryHead, method)
    with pytest.raises(ValueError, match=rf"level 'bev': .* needs {method}\(\) of the teacher head, and QueryHead has"):
        build_model(cfg.model)
    cfg.model.levels.bev.loss.fp_weight = 0.0
    build_model(cfg.model)


def test_the_response_must_read_the_level_that_the_teachers_head_reads(cfg, make_foreign_batch):
    cfg.model.response.level = 'small'
    model = build_model(cfg.model)
    with pytest.raises(ValueError, match="'small' is aligned with the teacher's level 'counts', .* reads 'fused'"):
        model.forward_train(**make_foreign_batch())
