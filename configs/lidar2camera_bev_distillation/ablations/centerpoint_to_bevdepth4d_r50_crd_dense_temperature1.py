"""Ablation: dense response loss against the plain, unsharpened teacher heatmap."""

_base_ = '../teacher_to_bevdepth4d/centerpoint_to_bevdepth4d_r50_256x704.py'

model = dict(response=dict(_delete_=True, type='CrossHeadDenseLoss', temperature=1.0, score_threshold=0.1))
