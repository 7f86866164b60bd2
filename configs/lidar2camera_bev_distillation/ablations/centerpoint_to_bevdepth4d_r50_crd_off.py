"""Ablation: feature losses alone, no response loss."""

_base_ = '../teacher_to_bevdepth4d/centerpoint_to_bevdepth4d_r50_256x704.py'

model = dict(response=None)
