"""Ablation: dense response loss, map against map, instead of teacher boxes."""

_base_ = '../teacher_to_bevdepth4d/centerpoint_to_bevdepth4d_r50_256x704.py'

model = dict(response=dict(_delete_=True, type='CrossHeadDenseLoss', temperature=0.1, score_threshold=0.1))
