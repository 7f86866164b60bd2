"""DistillBEV, as released for this family: MVPFormer teaches BEVFormer R101. All else as with LidarFormer.

Published targets (DistillBEV's README, not our result): 38.2 mAP, 49.1 NDS.
"""

from mmdet3d_plugin.datasets.pipelines.presets import bevformer_pipelines

_base_ = './lidarformer_to_bevformer_nus_1x1conv_r101.py'

model = dict(
    teacher=dict(
        config='configs/mvpformer/mvpformer_voxel0064_cbgs_20e_nus.py',
        checkpoint='outputs/mvpformer_voxel0064_cbgs_20e_nus/epoch_20.pth',
    )
)

train_pipeline = bevformer_pipelines(
    class_names={{_base_.class_names}},
    point_cloud_range={{_base_.point_cloud_range}},
    cameras={{_base_.cameras}},
    queue_length={{_base_.queue_length}},
    distortion=dict(),
    teacher_sweeps=10,
    teacher_virtual_points=True,
)[0]
data = dict(train=dict(pipeline=train_pipeline))
