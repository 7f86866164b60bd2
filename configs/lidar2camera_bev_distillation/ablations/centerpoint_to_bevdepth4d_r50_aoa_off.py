"""Ablation: 1x1 convolutions instead of AOA."""

_base_ = '../teacher_to_bevdepth4d/centerpoint_to_bevdepth4d_r50_256x704.py'

model = dict(
    levels=dict(
        backbone1=dict(aligner=dict(_delete_=True, type='Conv1x1Aligner')),
        backbone2=dict(aligner=dict(_delete_=True, type='Conv1x1Aligner')),
    )
)
