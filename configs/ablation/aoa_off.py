"""Toy experiment: 1x1 convolutions instead of AOA."""

_base_ = './dualdistill.py'

model = dict(
    levels=dict(
        backbone1=dict(aligner=dict(_delete_=True, type='Conv1x1Aligner')),
        backbone2=dict(aligner=dict(_delete_=True, type='Conv1x1Aligner')),
    )
)
