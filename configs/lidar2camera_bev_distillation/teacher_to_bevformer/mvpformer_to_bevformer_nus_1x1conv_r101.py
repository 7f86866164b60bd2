"""DistillBEV, as released for this family: MVPFormer teaches BEVFormer R101. All else as with LidarFormer.

Published targets (DistillBEV's README, not our result): 38.2 mAP, 49.1 NDS.
"""

_base_ = './mvpformer_to_bevformer_nus_1x1conv_r50.py'

model = dict(
    student=dict(
        img_backbone=dict(depth=101, init_cfg=dict(type='Pretrained', checkpoint='checkpoints/resnet101-63fe2227.pth'))
    )
)
