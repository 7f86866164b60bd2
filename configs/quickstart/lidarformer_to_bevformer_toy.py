"""Toy twin of LidarFormer -> BEVFormer: the toy LidarFormer teaches the toy BEVFormer; data and budget of the
undistilled one.

Unlike at full size the student also starts from the teacher's queries and their first places: a decoder that knows
them need not learn its matching again.
"""

from mmdet3d_plugin.datasets.pipelines.presets import bevformer_pipelines

_base_ = './bevformer_toy.py'

model = dict(
    _delete_=True,
    type='DualDistill',
    student={{_base_.model}},
    teacher=dict(
        config='configs/quickstart/lidarformer_toy.py',
        checkpoint='outputs/quickstart_bevformer/teacher/epoch_6.pth',
    ),
    levels=dict(
        bev=dict(
            aligner=dict(type='Conv1x1Aligner'),
            loss=dict(
                type='RegionWeightedFeatureLoss',
                fg_weight=5e-3,
                bg_weight=4e-3,
                spatial_weight=5e-4,
                attention='teacher',
            ),
            regions=dict(cell_anchor='center'),
        ),
    ),
    response=None,
    inherit_head=['branches', 'decoder', 'queries', 'reference_points'],
    warmup_iters=100,
)

train_pipeline = bevformer_pipelines(
    class_names={{_base_.class_names}},
    point_cloud_range={{_base_.point_cloud_range}},
    cameras={{_base_.cameras}},
    queue_length={{_base_.queue_length}},
    motion=dict(motion_source='poses'),
    image=dict(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375), to_rgb=True, scale=2 / 3),
    bev_aug=dict(rot_range=(0.0, 0.0), scale_range=(1.0, 1.0), flip_x_prob=0.5, flip_y_prob=0.5),
    teacher_sweeps=2,
)[0]
data = dict(train=dict(pipeline=train_pipeline))
