"""DistillBEV, as released for this family: LidarFormer teaches BEVFormer R101.

Published targets (DistillBEV's README, not our result): 37.4 mAP, 48.2 NDS.
"""

_base_ = './lidarformer_to_bevformer_nus_1x1conv_r50.py'

model = dict(
    student=dict(
        img_backbone=dict(depth=101, init_cfg=dict(type='Pretrained', checkpoint='checkpoints/resnet101-63fe2227.pth'))
    )
)
