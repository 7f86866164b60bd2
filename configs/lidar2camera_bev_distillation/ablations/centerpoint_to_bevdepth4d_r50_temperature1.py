"""Ablation: no sharpening. Teacher boxes count from a plain score of 0.1 on, instead of 0.445."""

_base_ = '../teacher_to_bevdepth4d/centerpoint_to_bevdepth4d_r50_256x704.py'

model = dict(response=dict(temperature=1.0))
