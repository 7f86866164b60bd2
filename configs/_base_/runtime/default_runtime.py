"""What every run shares: the plugin import, checkpoints, logs, seeds and checks.

Add ``dict(type='TensorboardLoggerHook')`` to ``log_config.hooks`` for curves in a browser; the JSON log holds the same
numbers.
"""

custom_imports = dict(imports=['mmdet3d_plugin'], allow_failed_imports=False)
checkpoint_config = dict(interval=1)
log_config = dict(interval=50, hooks=[dict(type='TextLoggerHook')])
custom_hooks = [
    dict(type='EpochSeedHook'),
    dict(type='CheckFiniteLossHook', priority='HIGH'),
    dict(type='CheckGradientHook', priority='LOW'),
    dict(type='SetIterationHook'),
    dict(type='GradientShareHook', interval=50, warn_ratio=10.0, priority='HIGH'),
    dict(type='TrainingSummaryHook'),
]
evaluation = dict(interval=1, metric='bbox', save_best='NDS', rule='greater')
seed = 0
log_level = 'INFO'
load_from = None
resume_from = None
workflow = [('train', 1)]
dist_params = dict(backend='nccl')
opencv_num_threads = 0
mp_start_method = 'fork'
