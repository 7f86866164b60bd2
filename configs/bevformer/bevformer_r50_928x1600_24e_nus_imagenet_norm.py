"""BEVFormer R50 with the image normalisation that its ImageNet weights were trained with. Not as released.

Prefer it for training of your own: the released one feeds the backbone values some 57 times as large, channels swapped.
"""

from mmdet3d_plugin.datasets.pipelines.presets import bevformer_pipelines

_base_ = './bevformer_r50_928x1600_24e_nus.py'

image_norm = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
model = dict(image_norm=image_norm)

train_pipeline, test_pipeline = bevformer_pipelines(
    class_names={{_base_.class_names}},
    point_cloud_range={{_base_.point_cloud_range}},
    cameras={{_base_.cameras}},
    queue_length={{_base_.queue_length}},
    distortion=dict(),
    image=image_norm,
)
data = dict(
    train=dict(pipeline=train_pipeline),
    val=dict(pipeline=test_pipeline),
    test=dict(pipeline=test_pipeline),
)
