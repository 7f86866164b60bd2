"""DualDistill: MVP teaches BEVDepth4D R101, 512x1408. The student's data and everything else as with CenterPoint.

Published targets (method README, not our result): 46.6 mAP, 56.3 NDS.
"""

from mmdet3d_plugin.datasets.pipelines.presets import camera_4d_pipelines

_base_ = './centerpoint_to_bevdepth4d_r101_512x1408.py'

model = dict(
    teacher=dict(
        config='configs/mvp/mvp_pillar02_dynamic_cbgs_20e_nus.py',
        checkpoint='outputs/mvp_pillar02_dynamic_cbgs_20e_nus/epoch_20.pth',
    )
)

train_pipeline = camera_4d_pipelines(
    class_names={{_base_.class_names}},
    point_cloud_range={{_base_.point_cloud_range}},
    final_dim={{_base_.final_dim}},
    depth_bounds={{_base_.depth_bounds}},
    depth_downsample={{_base_.depth_downsample}},
    teacher_sweeps=10,
    teacher_virtual_points=True,
)[0]
data = dict(train=dict(dataset=dict(pipeline=train_pipeline)))
