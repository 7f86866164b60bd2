"""Toy experiment: BEVFormer learns to detect, in a world of cars, half of which move. The others here start from it."""

from mmdet3d_plugin.datasets.pipelines.presets import bevformer_pipelines

_base_ = '../quickstart/bevformer_toy.py'

data_root = 'data/ablation_history/'
class_names = ['car']

# Velocities weigh as much as places. They are hardly learned here, but what comes after learns them sooner for it.
model = dict(
    pts_bbox_head=dict(
        class_names=class_names, num_query=40, num_groups=4, code_weights=[1.0] * 10, bbox_coder=dict(max_num=40)
    )
)

train_pipeline, test_pipeline = bevformer_pipelines(
    class_names=class_names,
    point_cloud_range={{_base_.point_cloud_range}},
    cameras={{_base_.cameras}},
    queue_length={{_base_.queue_length}},
    motion=dict(motion_source={{_base_.motion_source}}),
    image=dict(
        scale=2 / 3,
        mean={{_base_.image_norm.mean}},
        std={{_base_.image_norm.std}},
        to_rgb={{_base_.image_norm.to_rgb}},
    ),
    bev_aug=dict(rot_range=(0.0, 0.0), scale_range=(1.0, 1.0), flip_x_prob=0.5, flip_y_prob=0.5),
)
split = dict(data_root=data_root, classes=class_names)
val = dict(ann_file=data_root + 'nuscenes_infos_val.pkl', pipeline=test_pipeline, **split)
data = dict(
    train=dict(ann_file=data_root + 'nuscenes_infos_train.pkl', pipeline=train_pipeline, **split), val=val, test=val
)

runner = dict(max_epochs=6)
