"""BEVFormer R101, whole images, undistilled.

Published targets (DistillBEV's README, not our result): 34.9 mAP, 46.0 NDS. The R50 config with a deeper backbone; the
published R101's own settings were not at hand.
"""

_base_ = './bevformer_r50_928x1600_24e_nus.py'

model = dict(
    img_backbone=dict(depth=101, init_cfg=dict(type='Pretrained', checkpoint='checkpoints/resnet101-63fe2227.pth'))
)
