"""Ablation: AOA with its attention, projected by an unconstrained 1x1 convolution."""

_base_ = '../teacher_to_bevdepth4d/centerpoint_to_bevdepth4d_r50_256x704.py'

model = dict(
    levels=dict(backbone1=dict(aligner=dict(orthogonal=False)), backbone2=dict(aligner=dict(orthogonal=False)))
)
