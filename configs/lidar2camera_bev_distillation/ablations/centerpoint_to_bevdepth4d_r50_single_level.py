"""Ablation: one level, the head's input, instead of three."""

_base_ = '../teacher_to_bevdepth4d/centerpoint_to_bevdepth4d_r50_256x704.py'

model = dict(levels=dict(backbone1=None, backbone2=None))
