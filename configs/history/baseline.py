"""Toy experiment: the detector learns velocities from single frames. Its image branch stays as it is."""

_base_ = './detector.py'

load_from = 'outputs/ablation_history/detector/epoch_4.pth'
model = dict(train_cfg=dict(pts=dict(code_weights=[1.0] * 8 + [5.0] * 2)))
fixed = dict(lr_mult=0.0, decay_mult=0.0)
optimizer = dict(paramwise_cfg=dict(custom_keys=dict(img_backbone=fixed, img_neck=fixed)))
lr_config = dict(_delete_=True, policy='step', step=[3], warmup='linear', warmup_iters=50, warmup_ratio=0.1)
