"""Toy twin of DualDistill: the toy CenterPoint teaches the toy BEVDepth4D, same data, seed and budget as undistilled."""

from mmdet3d_plugin.datasets.pipelines.presets import camera_4d_pipelines

_base_ = './bevdepth4d_toy.py'

feature_loss = dict(type='RegionWeightedFeatureLoss', fg_weight=6e-3, bg_weight=4e-2, spatial_weight=2.5e-3)

model = dict(
    _delete_=True,
    type='DualDistill',
    student={{_base_.model}},
    teacher=dict(config='configs/quickstart/centerpoint_toy.py', checkpoint='outputs/quickstart/teacher/epoch_12.pth'),
    levels=dict(
        backbone1=dict(aligner=dict(type='AOAAligner'), loss=feature_loss),
        backbone2=dict(aligner=dict(type='AOAAligner'), loss=feature_loss),
        head=dict(aligner=dict(type='Conv1x1Aligner'), loss=dict(fp_weight=6e-2, **feature_loss)),
    ),
    response=dict(
        type='CrossHeadBoxLoss',
        temperature=0.1,
        score_threshold=0.1,
        nms=dict(nms_type='rotate', nms_thr=0.2, post_max_size=83),
        loss_weight=1.0,
    ),
    inherit_head=True,
)

train_pipeline = camera_4d_pipelines(
    class_names={{_base_.class_names}},
    point_cloud_range={{_base_.point_cloud_range}},
    final_dim={{_base_.final_dim}},
    depth_bounds={{_base_.depth_bounds}},
    depth_downsample={{_base_.stride}},
    teacher_sweeps=2,
)[0]
data = dict(train=dict(pipeline=train_pipeline))
