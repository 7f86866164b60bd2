"""Ablation: AOA without its attention, the orthogonal projection alone."""

_base_ = '../teacher_to_bevdepth4d/centerpoint_to_bevdepth4d_r50_256x704.py'

model = dict(levels=dict(backbone1=dict(aligner=dict(attention=False)), backbone2=dict(aligner=dict(attention=False))))
