"""Toy twin of DualDistill: the toy CenterPoint teaches the toy BEVDepth4D; data and budget of the undistilled one.

Weights are smaller than at full size: in 600 iterations from random weights, with the full-size ratios to the detection
loss, the student spends its steps on the teacher's maps and detects worse than without a teacher.
"""

from mmdet3d_plugin.datasets.pipelines.presets import camera_4d_pipelines

_base_ = './bevdepth4d_toy.py'

feature_loss = dict(type='RegionWeightedFeatureLoss', fg_weight=2e-4, bg_weight=2e-3, spatial_weight=1e-4)

model = dict(
    _delete_=True,
    type='DualDistill',
    student={{_base_.model}},
    teacher=dict(
        config='configs/quickstart/centerpoint_toy.py',
        checkpoint='outputs/quickstart/teacher/epoch_5.pth',
        # the response loss weighs a box as the student's own loss does, not as the teacher's training did
        cfg_options={'model.train_cfg.pts.code_weights': [1.0] * 8 + [0.2] * 2},
    ),
    levels=dict(
        backbone1=dict(aligner=dict(type='AOAAligner'), loss=feature_loss),
        backbone2=dict(aligner=dict(type='AOAAligner'), loss=feature_loss),
        head=dict(aligner=dict(type='Conv1x1Aligner'), loss=dict(fp_weight=2e-3, **feature_loss)),
    ),
    response=dict(
        type='CrossHeadBoxLoss',
        temperature=0.1,
        score_threshold=0.1,
        nms=dict(nms_type='rotate', nms_thr=0.2, post_max_size=83),
        loss_weight=0.25,
    ),
    inherit_head=True,
    warmup_iters=100,
)

train_pipeline = camera_4d_pipelines(
    class_names={{_base_.class_names}},
    point_cloud_range={{_base_.point_cloud_range}},
    final_dim={{_base_.final_dim}},
    depth_bounds={{_base_.depth_bounds}},
    depth_downsample={{_base_.stride}},
    teacher_sweeps=3,
    image_aug=dict(resize_range=(0.0, 0.05), rot_range=(0.0, 0.0), flip_prob=0.0, test_resize=0.02),
    bev_aug=dict(rot_range=(0.0, 0.0), scale_range=(1.0, 1.0), flip_x_prob=0.5, flip_y_prob=0.5),
)[0]
data = dict(train=dict(pipeline=train_pipeline))
