"""Ablation: the false-positive term without the teacher's channel attention."""

_base_ = '../teacher_to_bevdepth4d/centerpoint_to_bevdepth4d_r50_256x704.py'

model = dict(levels=dict(head=dict(loss=dict(fp_channel_attention=False))))
