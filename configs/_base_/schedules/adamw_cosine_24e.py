"""Students of BEVFormer's kind: 24 epochs of AdamW on a cosine, the image backbone ten times slower. Batch 8."""

optimizer = dict(
    type='AdamW', lr=2e-4, weight_decay=0.01, paramwise_cfg=dict(custom_keys=dict(img_backbone=dict(lr_mult=0.1)))
)
optimizer_config = dict(grad_clip=dict(max_norm=35, norm_type=2))
lr_config = dict(policy='CosineAnnealing', warmup='linear', warmup_iters=500, warmup_ratio=1.0 / 3, min_lr_ratio=1e-3)
runner = dict(type='EpochBasedRunner', max_epochs=24)
