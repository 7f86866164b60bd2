"""DistillBEV baseline, R101, 512x1408. Published for comparison (method README, not our result): 43.6 mAP, 53.6 NDS."""

_base_ = './centerpoint_to_bevdepth4d_r101_512x1408.py'

model = dict(
    levels=dict(
        backbone1=dict(aligner=dict(_delete_=True, type='UpsampleConvAligner')),
        backbone2=dict(aligner=dict(_delete_=True, type='UpsampleConvAligner')),
    ),
    response=None,
)
