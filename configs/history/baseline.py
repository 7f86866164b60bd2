"""Toy experiment: the same from single frames: to this BEVFormer every frame is the first one."""

from mmdet3d_plugin.datasets.pipelines.presets import bevformer_pipelines

_base_ = './with_history.py'

queue_length = 1
model = dict(history=False)
train_pipeline = bevformer_pipelines(
    class_names={{_base_.class_names}},
    point_cloud_range={{_base_.point_cloud_range}},
    cameras={{_base_.cameras}},
    queue_length=queue_length,
    motion=dict(motion_source={{_base_.motion_source}}),
    image=dict(
        scale=2 / 3,
        mean={{_base_.image_norm.mean}},
        std={{_base_.image_norm.std}},
        to_rgb={{_base_.image_norm.to_rgb}},
    ),
    bev_aug=dict(rot_range=(0.0, 0.0), scale_range=(1.0, 1.0), flip_x_prob=0.5, flip_y_prob=0.5),
)[0]
data = dict(train=dict(pipeline=train_pipeline))
