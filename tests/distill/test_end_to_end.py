"""DualDistill with the real student and teacher classes at toy size."""

import copy

import pytest
import torch
from helpers.batch import make_batch
from helpers.distill_fakes import build, level_cfgs, write_teacher
from helpers.toy_models import toy_bevdepth_cfg
from mmcv.runner import load_checkpoint, save_checkpoint

from mmdet3d_plugin.distill import student_model_cfg


@pytest.fixture(scope='module', params=[True, False], ids=['dynamic', 'hard'])
def cfg(tmp_path_factory, request):
    teacher = write_teacher(tmp_path_factory.mktemp('teacher'), dynamic=request.param)
    return dict(
        type='DualDistill',
        student=toy_bevdepth_cfg(),
        teacher=teacher,
        levels=level_cfgs(),
        response=dict(type='CrossHeadBoxLoss', nms=dict(nms_type='rotate', nms_thr=0.2, post_max_size=83)),
    )


def test_training_steps_change_student_and_aligners_but_not_the_teacher(cfg):
    model = build(cfg).train()
    model.init_weights()
    teacher_before = copy.deepcopy(model.teacher.module.state_dict())
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for step in range(2):
        optimizer.zero_grad()
        outputs = model.train_step(make_batch(seed=step), optimizer)
        outputs['loss'].backward()
        assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
        without = [name for name, p in model.named_parameters() if p.grad is None]
        assert without == []
        optimizer.step()
    assert all(torch.equal(value, teacher_before[name]) for name, value in model.teacher.module.state_dict().items())
    for term in ('loss_depth', 'distill.head.loss_fp', 'distill.backbone2.raw_fg', 'crd.task5.loss_bbox'):
        assert term in outputs['log_vars']


def test_autocast_keeps_losses_and_teacher_in_float32(cfg):
    student = toy_bevdepth_cfg()
    student['img_view_transformer']['depth_conv_cfg'] = None  # deformable convolution knows no bfloat16 on a CPU
    model = build(dict(cfg, student=student)).train()
    model.init_weights()
    batch, seen = make_batch(), {}
    expected = model.teacher.extract_bev(batch)
    for part in (model.student, model.teacher):

        def spy(batch, *names, part=part, extract=part.extract_bev):
            seen[part] = extract(batch, *names)
            return seen[part]

        part.extract_bev = spy
    with torch.autocast('cpu', torch.bfloat16):
        losses = model.forward_train(**batch)
    assert seen[model.student].head_map.dtype == torch.bfloat16  # it did run in low precision
    for name, value in losses.items():
        assert value.dtype == torch.float32 and torch.isfinite(value), name
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
    assert all(parameter.grad is None for parameter in model.teacher.module.parameters())
    ours = seen[model.teacher]
    for got, wanted in zip(ours.levels.values(), expected.levels.values()):
        assert got.dtype == torch.float32 and torch.equal(got, wanted)


def test_overfits_one_batch(cfg):
    """Feature terms of every level fall on a repeated batch."""
    model = build(cfg).train()
    batch = make_batch(augment=False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    history = []
    for _ in range(12):
        optimizer.zero_grad()
        outputs = model.train_step(batch, optimizer)
        outputs['loss'].backward()
        optimizer.step()
        history.append(outputs['log_vars'])
    for level in ('backbone1', 'backbone2', 'head'):
        assert history[-1][f'distill.{level}.raw_bg'] < history[0][f'distill.{level}.raw_bg']
    assert history[-1]['crd.raw_heatmap'] < history[0]['crd.raw_heatmap']


def test_one_checkpoint_serves_distiller_and_plain_student(cfg, tmp_path):
    model, student = build(cfg).eval(), build(student_model_cfg(cfg), seed=5).eval()
    path = str(tmp_path / 'distilled.pth')
    save_checkpoint(model, path)
    load_checkpoint(student, path, map_location='cpu', strict=True)
    student.load_state_dict(torch.load(path, weights_only=True)['state_dict'])
    batch = make_batch(num_boxes=2)
    for key in ('points', 'gt_bboxes_3d', 'gt_labels_3d', 'gt_depth'):
        del batch[key]
    with torch.no_grad():
        ours, theirs = model(return_loss=False, **batch), student(return_loss=False, **batch)
    for first, second in zip(ours, theirs):
        for name in ('scores_3d', 'labels_3d'):
            assert torch.equal(first['pts_bbox'][name], second['pts_bbox'][name])
        assert torch.equal(first['pts_bbox']['boxes_3d'].tensor, second['pts_bbox']['boxes_3d'].tensor)
    again = build(cfg, seed=6).eval()
    load_checkpoint(again, path, map_location='cpu', strict=True)
    for name, value in again.state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name


def test_sample_without_boxes_or_points(cfg):
    model = build(cfg).train()
    batch = make_batch(num_boxes=(0, 4))
    batch['points'][0] = batch['points'][0][:0]
    losses = model.forward_train(**batch)
    assert all(torch.isfinite(value) for value in losses.values())


@pytest.mark.parametrize('variant', ['CrossHeadBoxLoss', 'CrossHeadDenseLoss'])
def test_lazy_cross_predictions_train_as_maps_do(cfg, variant):
    """Losses and gradients of a whole step, the teacher's head read at a few cells and everywhere."""
    model, batch = build(dict(cfg, response=dict(type=variant))).eval(), make_batch(augment=False)
    for task_head in model.teacher.head.task_heads:
        task_head.heatmap[-1].bias.fill_(0.5)  # an untrained head is never sure of anything
    steps = []
    for respond in (model.teacher.respond_lazily, model.teacher.respond):
        model.teacher.respond_lazily = respond
        model.zero_grad(set_to_none=True)
        losses = model.forward_train(**batch)
        sum(value for name, value in losses.items() if 'loss' in name).backward()
        gradients = {name: value.grad for name, value in model.named_parameters() if value.grad is not None}
        steps.append((type(model.compare(batch).cross_preds[0][0]), losses, gradients))
    (lazy, *ours), (dense, *theirs) = steps
    assert lazy is not dense and theirs[0]['crd.raw_bbox'] > 0 and 'distill.aligners.head.conv.weight' in theirs[1]
    for mine, other in zip(ours, theirs):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('variant', ['CrossHeadBoxLoss', 'CrossHeadDenseLoss'])
def test_cross_response_pulls_the_student_towards_the_teachers_peaks(cfg, variant):
    """Gradient steps on CRD alone raise the cross heatmap where the teacher is sure."""
    model = build(dict(cfg, response=dict(type=variant))).eval()
    batch = make_batch(augment=False)
    neck = model.teacher.extract_bev(batch).head_map
    head = model.teacher.head
    with torch.no_grad():
        head.task_heads[0].heatmap[-1].bias.fill_(0.5)  # an untrained head is never sure of anything
        preds = model.teacher.respond(neck, batch['img_metas'])
    aligner, feature = model.distill['aligners']['head'], model.student.extract_bev(batch).head_map.detach()
    boxes, scores, labels = head.decode(preds, batch['img_metas'], temperature=0.1)[0]
    assert (labels == 0).any()
    x, y = boxes.tensor[labels == 0][0, :2]
    col, row = int((x + 12.8) / 1.6), int((y + 12.8) / 1.6)
    optimizer = torch.optim.Adam(aligner.parameters(), lr=0.05)
    sure = []
    for _ in range(10):
        cross = model.teacher.respond_lazily(aligner(feature), batch['img_metas'])
        sure.append(cross[0][0]['heatmap'][0, 0, row, col].item())
        losses = model.response(head, cross, preds, batch['img_metas'])
        optimizer.zero_grad()
        sum(value for name, value in losses.items() if 'loss' in name).backward()
        optimizer.step()
    assert sure[-1] > sure[0]
