"""LidarFormer and MVPFormer as frozen teachers: the encoder's map is distilled, the head does not run."""

import pytest
import torch
from helpers.distill_fakes import build, distiller_cfg, make_batch, student_cfg, write_teacher
from helpers.toy_models import toy_lidarformer_cfg

from mmdet3d_plugin.models.heads.bev_center_head import BEVCenterHead


@pytest.mark.parametrize('virtual', [False, True], ids=['lidarformer', 'mvpformer'])
def test_the_student_learns_from_the_encoders_map(tmp_path, monkeypatch, virtual):
    loss = dict(type='RegionWeightedFeatureLoss', attention='teacher')
    entry = dict(name='bev', student='head', aligner=dict(type='Conv1x1Aligner'), loss=loss)
    entry['regions'] = dict(cell_anchor='center')
    teacher = write_teacher(tmp_path, cfg=toy_lidarformer_cfg(virtual=virtual))
    model = build(distiller_cfg(teacher, student=student_cfg(), levels=[entry], response=None, inherit_head=False))
    batch = make_batch()
    if virtual:
        batch['points'] = [torch.cat([p, torch.ones(len(p), 10), p[:, :2].sign()], dim=1) for p in batch['points']]
    monkeypatch.setattr(model.teacher.module.head, 'predict', None)  # would fail when called
    losses = model(return_loss=True, **batch)
    distilled = {name: value for name, value in losses.items() if name.startswith('distill.bev.loss')}
    assert set(distilled) == {f'distill.bev.loss_{part}' for part in ('fg', 'bg', 'spatial')}
    assert all(value.isfinite() and value > 0 for value in distilled.values())
    sum(distilled.values()).backward()
    assert model.student.neck.weight.grad.abs().sum() > 0
    assert not any('layers' in name for name in model.state_dict())  # the teacher is none of the checkpoint's business
    assert isinstance(model.teacher.module.head, BEVCenterHead) and model.teacher.module.pts_backbone.training is False
