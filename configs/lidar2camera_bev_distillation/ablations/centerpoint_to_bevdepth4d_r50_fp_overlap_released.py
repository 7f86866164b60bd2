"""Ablation: false positives may lie inside boxes, and count as background cells, as in the released code."""

_base_ = '../teacher_to_bevdepth4d/centerpoint_to_bevdepth4d_r50_256x704.py'

model = dict(levels=dict(head=dict(regions=dict(fp_overlap='released'))))
