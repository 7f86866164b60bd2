"""Toy experiment: DistillBEV, three-layer upsampling aligners and no response loss."""

_base_ = './dualdistill.py'

model = dict(
    levels=dict(
        backbone1=dict(aligner=dict(_delete_=True, type='UpsampleConvAligner')),
        backbone2=dict(aligner=dict(_delete_=True, type='UpsampleConvAligner')),
    ),
    response=None,
)
