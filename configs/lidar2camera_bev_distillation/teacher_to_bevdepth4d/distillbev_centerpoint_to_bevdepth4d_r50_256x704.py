"""DistillBEV, the baseline of the method: three-layer upsampling aligners, no response loss; CenterPoint, R50, 256x704.

Levels, region weights, attention and inherited task heads are those of the parent. Published for comparison (method
README, not our result): 39.0 mAP, 50.6 NDS.
"""

_base_ = './centerpoint_to_bevdepth4d_r50_256x704.py'

model = dict(
    levels=dict(
        backbone1=dict(aligner=dict(_delete_=True, type='UpsampleConvAligner')),
        backbone2=dict(aligner=dict(_delete_=True, type='UpsampleConvAligner')),
    ),
    response=None,
)
