"""DualDistill: CenterPoint teaches BEVDepth4D R101, 512x1408.

Published targets (method README, not our result): 45.5 mAP, 55.6 NDS. Four samples a GPU for memory; the recipe's batch
of 64 takes 16 GPUs.
"""

from mmdet3d_plugin.datasets.pipelines.presets import camera_4d_pipelines

_base_ = './centerpoint_to_bevdepth4d_r50_256x704.py'

final_dim = (512, 1408)

model = dict(
    student=dict(
        img_backbone=dict(depth=101, init_cfg=dict(type='Pretrained', checkpoint='checkpoints/resnet101-63fe2227.pth')),
        img_view_transformer=dict(image_size=final_dim),
    )
)

train_pipeline, test_pipeline = camera_4d_pipelines(
    class_names={{_base_.class_names}},
    point_cloud_range={{_base_.point_cloud_range}},
    final_dim=final_dim,
    depth_bounds={{_base_.depth_bounds}},
    depth_downsample={{_base_.depth_downsample}},
    teacher_sweeps=10,
)
data = dict(
    samples_per_gpu=4,
    train=dict(dataset=dict(pipeline=train_pipeline)),
    val=dict(pipeline=test_pipeline),
    test=dict(pipeline=test_pipeline),
)
