"""DualDistill around a tiny student and a toy CenterPoint: losses, gradients, untouched teacher, wiring errors."""

import copy
from types import SimpleNamespace

import pytest
import torch
from helpers import bev
from helpers.distill_fakes import build, distiller_cfg, level_cfgs, make_batch, student_cfg, write_teacher
from helpers.toy_models import toy_head_cfg
from mmcv import Config
from mmcv.runner import wrap_fp16_model

from mmdet3d_plugin.distill import student_model_cfg
from mmdet3d_plugin.distill.compatibility import check_same_extent
from mmdet3d_plugin.distill.regions import build_regions
from mmdet3d_plugin.structures import BEVGrid


@pytest.fixture(scope='module')
def teacher(tmp_path_factory):
    return write_teacher(tmp_path_factory.mktemp('teacher'))


@pytest.fixture
def model(teacher):
    return build(distiller_cfg(teacher)).train()


def total(losses):
    return sum(value for name, value in losses.items() if 'loss' in name)


def test_names_of_terms(model):
    losses = model(return_loss=True, **make_batch())
    expected = {f'task{task}.loss_{term}' for task in range(6) for term in ('heatmap', 'bbox')}
    expected |= {f'crd.{name}' for name in expected} | {'crd.raw_heatmap', 'crd.raw_bbox', 'crd.num_boxes'}
    for level in ('backbone1', 'backbone2', 'head'):
        terms = ['fg', 'bg', 'spatial'] + (['fp'] if level == 'head' else [])
        expected |= {f'distill.{level}.{kind}_{term}' for term in terms for kind in ('loss', 'raw')}
    assert set(losses) == expected
    assert all(torch.isfinite(value) and value.shape == () for value in losses.values())
    assert all(value.dtype == torch.float32 for value in losses.values())
    for name, value in losses.items():
        assert value.requires_grad == ('loss' in name), name


def test_train_step_sums_weighted_terms_only(model):
    batch = make_batch()
    outputs = model.train_step(batch, None)
    expected = sum(value for name, value in outputs['log_vars'].items() if 'loss' in name and name != 'loss')
    assert outputs['log_vars']['loss'] == pytest.approx(expected, rel=1e-5)
    assert outputs['num_samples'] == 2
    outputs['loss'].backward()


def test_student_runs_once_per_iteration(model):
    model(return_loss=True, **make_batch())
    assert model.student.extractions == 1


def test_terms_are_the_parts_put_together_by_hand(model):
    """Recompute one level and the response from the public parts; tells wrong level, grid, order or heatmap."""
    model.eval()  # the same normalisation in both computations
    batch = make_batch(boxes=9)
    losses = model.forward_train(**batch)
    student, teacher = model.student.extract_bev(batch), model.teacher.extract_bev(batch)
    head = model.teacher.head
    preds = head([teacher.head_map])
    fired = torch.stack([maps['heatmap'].sigmoid().amax(dim=1) for (maps,) in preds]).amax(dim=0)
    wanted = torch.stack(
        [maps.amax(dim=1) for maps in head.get_targets(batch['gt_bboxes_3d'], batch['gt_labels_3d'])[0]]
    )
    grid = BEVGrid(-12.8, -12.8, 12.8, 12.8, 16, 16)
    regions = build_regions(batch['gt_bboxes_3d'], grid, target=wanted.amax(dim=0), teacher=fired)
    aligned = model.distill['aligners']['head'](student.head_map)
    for name, value in model.distill['losses']['head'](aligned, teacher.head_map, regions).items():
        torch.testing.assert_close(losses[f'distill.head.{name}'], value)
    response = model.response(head, head([aligned]), preds, batch['img_metas'])
    for name, value in response.items():
        torch.testing.assert_close(losses[f'crd.{name}'], value)
    assert regions.fg.any() and regions.fp.any() and losses['crd.num_boxes'] > 0
    sizes = dict(backbone1=(16, 16), backbone2=(8, 8))
    for level in ('backbone1', 'backbone2'):
        aligned = model.distill['aligners'][level](student.level(level))
        assert aligned.shape[-2:] == sizes[level]
        regions = build_regions(batch['gt_bboxes_3d'], BEVGrid(-12.8, -12.8, 12.8, 12.8, *sizes[level]))
        for name, value in model.distill['losses'][level](aligned, teacher.level(level), regions).items():
            torch.testing.assert_close(losses[f'distill.{level}.{name}'], value)


def gradients(model, losses, prefix):
    loss = sum(value for name, value in losses.items() if name.startswith(prefix) and 'loss' in name)
    model.zero_grad()
    loss.backward(retain_graph=True)
    return {name for name, parameter in model.named_parameters() if parameter.grad is not None and parameter.grad.any()}


def test_response_gradient_reaches_student_and_head_aligner_only(model):
    losses = model.forward_train(**make_batch())
    reached = gradients(model, losses, 'crd.')
    assert 'distill.aligners.head.conv.weight' in reached and 'student.stem.0.weight' in reached
    assert not any('backbone' in name or 'pts_bbox_head' in name or 'losses' in name for name in reached)
    assert all(parameter.grad is None for parameter in model.teacher.module.parameters())


@pytest.mark.parametrize('level', ['backbone1', 'backbone2', 'head'])
def test_feature_loss_gradient_reaches_its_own_aligner_and_the_student(model, level):
    losses = model.forward_train(**make_batch())
    reached = gradients(model, losses, f'distill.{level}.')
    assert 'student.stem.0.weight' in reached
    mine = {name for name in reached if name.startswith('distill.')}
    assert mine and all(name.split('.')[2] == level for name in mine)
    assert not any('pts_bbox_head' in name for name in reached)


def test_every_trainable_parameter_gets_a_gradient(model):
    total(model.forward_train(**make_batch())).backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


def test_teacher_is_untouched_by_training(model):
    before = copy.deepcopy(model.teacher.module.state_dict())
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
    student_before = copy.deepcopy(model.state_dict())
    for step in range(3):
        model.train()
        optimizer.zero_grad()
        total(model.forward_train(**make_batch(seed=step))).backward()
        optimizer.step()
    for name, value in model.teacher.module.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(parameter.grad is None for parameter in model.teacher.module.parameters())
    assert not any(module.training for module in model.teacher.module.modules())
    changed = [name for name, value in model.state_dict().items() if not torch.equal(value, student_before[name])]
    assert any(name.startswith('distill.aligners') for name in changed) and 'stem.0.weight' in changed


def test_teacher_is_invisible_to_torch(model):
    ids = {id(parameter) for parameter in model.teacher.module.parameters()}
    assert not ids & {id(parameter) for parameter in model.parameters()}
    buffers = {id(buffer) for buffer in model.teacher.module.buffers()}
    assert not buffers & {id(buffer) for buffer in model.buffers()}
    assert not any(module is model.teacher.module for module in model.modules())
    assert not any('pts_backbone' in name for name in model.state_dict())


def test_teacher_follows_device_and_precision_moves(model):
    model.double()
    assert {parameter.dtype for parameter in model.teacher.module.parameters()} == {torch.float64}
    model.to('meta')
    assert {parameter.device.type for parameter in model.teacher.module.parameters()} == {'meta'}


def test_copies_are_independent(model):
    clone = copy.deepcopy(model)
    batch = make_batch()
    model.eval(), clone.eval()
    first, second = model.forward_train(**batch), clone.forward_train(**batch)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert clone.teacher.module is not model.teacher.module


def test_no_boxes_anywhere_is_finite(model):
    losses = model.forward_train(**make_batch(boxes=0))
    assert all(torch.isfinite(value) for value in losses.values())
    assert losses['distill.head.loss_fg'] == 0
    total(losses).backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters())


def test_test_mode_is_the_student_alone(model):
    model.eval()
    batch = make_batch()
    del batch['points'], batch['gt_bboxes_3d'], batch['gt_labels_3d']
    model.teacher.extract_bev = None  # any use of the teacher fails
    ours = model(return_loss=False, **batch)
    theirs = model.student.forward_test(**batch)
    for (boxes, scores, labels), (other, other_scores, other_labels) in zip(ours, theirs):
        assert torch.equal(boxes.tensor, other.tensor)
        assert torch.equal(scores, other_scores) and torch.equal(labels, other_labels)


def test_fp16_wrapping_leaves_points_alone(model):
    seen = {}

    def spy(batch):
        seen['points'] = batch['points'][0].dtype
        raise KeyError('stop')

    wrap_fp16_model(model)
    assert model.fp16_enabled
    model.student.extract_bev = lambda batch: seen.update(img=batch['img'].dtype) or spy(batch)
    with pytest.raises(KeyError, match='stop'):
        model(return_loss=True, **make_batch())
    assert seen == dict(img=torch.float16, points=torch.float32)


def test_inherit_head_starts_from_the_teachers_task_heads(teacher):
    inherited, own = build(distiller_cfg(teacher)), build(distiller_cfg(teacher, inherit_head=False))
    theirs = inherited.teacher.head.task_heads.state_dict()
    for model, equal in ((inherited, True), (own, False)):
        model.init_weights()
        ours = model.student.pts_bbox_head.task_heads.state_dict()
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs) == equal
    shared = inherited.student.pts_bbox_head.shared_conv.conv.weight
    assert shared.shape != inherited.teacher.head.shared_conv.conv.weight.shape
    for name, value in inherited.student.pts_bbox_head.task_heads.named_parameters():
        assert value.data_ptr() != theirs[name].data_ptr() and value.requires_grad


def test_variants_are_configuration(teacher):
    levels = [
        dict(name='backbone1', aligner=dict(type='UpsampleConvAligner'), loss=dict(type='RegionWeightedFeatureLoss'))
    ]
    single = build(distiller_cfg(teacher, levels=levels, response=None)).forward_train(**make_batch())
    assert not any(name.startswith('crd.') for name in single)
    assert {name.split('.')[1] for name in single if name.startswith('distill.')} == {'backbone1'}
    response_only = distiller_cfg(
        teacher,
        levels=[dict(name='head', aligner=dict(type='Conv1x1Aligner'))],
        response=dict(type='CrossHeadDenseLoss'),
    )
    losses = build(response_only).forward_train(**make_batch())
    assert not any(name.startswith('distill.') for name in losses) and 'crd.task0.loss_bbox' in losses


def test_levels_by_name_can_be_switched_off(teacher):
    by_name = {entry.pop('name'): entry for entry in level_cfgs()}
    listed, named = build(distiller_cfg(teacher)), build(distiller_cfg(teacher, levels=by_name))
    assert list(listed.state_dict()) == list(named.state_dict())
    fewer = build(distiller_cfg(teacher, levels=dict(by_name, backbone2=None)))
    assert list(fewer.distill['aligners']) == ['backbone1', 'head']


def test_config_is_not_changed(teacher):
    cfg = Config(dict(model=distiller_cfg(teacher))).model
    before = copy.deepcopy(cfg)
    build(cfg)
    assert cfg == before


def test_student_model_cfg(teacher):
    cfg = distiller_cfg(teacher)
    student = student_model_cfg(cfg)
    assert student == cfg['student'] and student is not cfg['student']
    assert student_model_cfg(student) == student


def with_level(index, **changes):
    levels = level_cfgs()
    levels[index].update(changes)
    return dict(levels=levels)


WIRING_ERRORS = {
    'unknown level': (
        with_level(0, name='backbone7'),
        r"'backbone7' is not a level of the student, which has backbone0, backbone1, backbone2, head",
    ),
    'level listed twice': (with_level(0, name='head'), 'head listed twice'),
    'unknown level key': (
        with_level(0, weight=2.0),
        r"'backbone1' takes aligner and, if you like, loss, .* got \['aligner', 'loss', 'weight'\]",
    ),
    'no level': (dict(levels=[]), 'list at least one level'),
    'heads that do not divide': (
        with_level(0, aligner=dict(type='AOAAligner', num_heads=5)),
        r"level 'backbone1' \(student 16@8x8, teacher 16@16x16\): AOAAligner: attention over 16 channels cannot",
    ),
    'false positives off the heatmap grid': (
        with_level(1, loss=dict(type='RegionWeightedFeatureLoss', fp_weight=0.1)),
        r"level 'backbone2'.* 8x8 cells, the teacher head gives 16x16: set fp_weight=0",
    ),
    'aligner without use': (with_level(0, loss=None), 'backbone1 has an aligner that nothing uses'),
    'response without head level': (
        dict(levels=level_cfgs()[:2]),
        "response needs a level 'head', levels has backbone1",
    ),
    'other range': (
        dict(student=dict(student_cfg(), point_cloud_range=(-25.6, -25.6, -5.0, 25.6, 25.6, 3.0))),
        r'student covers .*x -25.6.*teacher .*x -12.8.*x and y must be the same',
    ),
    'other class order': (
        dict(student=student_cfg(tasks=[dict(class_names=['truck'])] + [dict(class_names=['car', 'bus'])] * 5)),
        r"student head has classes \['truck', 'car'.*teacher head \['car', 'truck'.*class order",
    ),
    'other output grid': (
        dict(student=dict(type='TinyStudent', pts_bbox_head=toy_head_cfg(12, factor=8))),
        'student head works on 8x8 cells, teacher head on 16x16',
    ),
    'student head without train_cfg': (dict(student=student_cfg(train_cfg=None)), 'student head cannot draw targets'),
    'task heads of another width': (
        dict(student=student_cfg(share_conv_channel=8)),
        r'inherit_head: .*student \(.*teacher \(.*inherit_head=False',
    ),
    'train_cfg beside the student': (dict(train_cfg=dict(pts=None)), 'put them into model.student'),
}


@pytest.mark.parametrize('name', WIRING_ERRORS)
def test_wiring_errors_take_one_line(teacher, name):
    overrides, message = WIRING_ERRORS[name]
    with pytest.raises(ValueError, match=message) as error:
        build(distiller_cfg(teacher, **overrides))
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('moved', [0, 1, 3, 4])
def test_each_edge_of_the_extent_counts(moved):
    """x as well as y, either end."""
    edges = [-12.8, -12.8, -5.0, 12.8, 12.8, 3.0]
    same, other = ({'head': bev.level(4, 8, 8, edges)} for _ in range(2))
    sides = [SimpleNamespace(bev_levels=lambda: same), SimpleNamespace(bev_levels=lambda: other)]
    check_same_extent(*sides)
    edges[moved] += 0.1
    other['head'] = bev.level(4, 8, 8, edges)
    with pytest.raises(ValueError, match=r"student covers .* \(level 'head'\), teacher .*: x and y must be the same"):
        check_same_extent(*sides)


def test_an_odd_level_of_the_student_itself_is_named():
    edges = ([-12.8, -12.8, -5.0, 12.8, 12.8, 3.0], [-12.8, -12.8, -5.0, 14.4, 12.8, 3.0])
    own = {name: bev.level(4, 8, 8, extent) for name, extent in zip(('head', 'aside'), edges)}
    sides = [SimpleNamespace(bev_levels=lambda levels=levels: levels) for levels in (own, dict(head=own['head']))]
    with pytest.raises(
        ValueError, match=r"\(level 'head'\), student .*14.* \(level 'aside'\): x and y must be the same"
    ):
        check_same_extent(*sides)


def test_the_threshold_of_false_positives_reaches_the_regions(teacher):
    """Confidences lie around the thresholds. A higher one leaves fewer cells, in the loss's config as in the entry."""
    batch, counts = make_batch(boxes=3), []
    for entry in (
        dict(regions=dict(fp_threshold=0.2)),
        dict(regions=dict(fp_threshold=0.5)),
        dict(threshold_in_loss=0.5),
    ):
        levels = level_cfgs()
        if 'regions' in entry:
            levels[2].update(entry)
        else:
            levels[2]['loss']['fp_threshold'] = entry['threshold_in_loss']
        model = build(distiller_cfg(teacher, levels=levels)).eval()
        generator = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for task_head in model.teacher.head.task_heads:  # heatmaps that differ from cell to cell
                last = task_head.heatmap[-1]
                last.bias.fill_(-1.5)
                last.weight.copy_(torch.randn(last.weight.shape, generator=generator))
        fp = model.compare(batch).regions['head'].fp
        counts.append(int(fp.sum()))
    assert 0 < counts[1] < counts[0] < fp.numel() and counts[2] == counts[1]


def test_unknown_option_is_an_error(teacher):
    with pytest.raises(TypeError, match='distill_weight'):
        build(distiller_cfg(teacher, distill_weight=1.0))


def test_missing_teacher_key_is_an_error_of_the_distiller(teacher, tmp_path):
    content = torch.load(teacher['checkpoint'], weights_only=True)
    content['state_dict'].pop('pts_bbox_head.shared_conv.conv.weight')
    torch.save(content, tmp_path / 'broken.pth')
    with pytest.raises(ValueError, match='pts_bbox_head: 1 missing'):
        build(distiller_cfg(dict(teacher, checkpoint=str(tmp_path / 'broken.pth'))))


def test_checkpoints_can_say_which_teacher_it_was(model, teacher):
    meta = model.checkpoint_meta()
    assert meta['teacher']['checkpoint'] == teacher['checkpoint'] and len(meta['teacher']['sha256']) == 64
    assert meta['teacher']['metrics'] == {'best score': 0.5}
